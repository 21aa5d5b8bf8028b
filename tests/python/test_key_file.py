"""Files of room keys: what other implementations wrote is read, and what is wrong refused."""

from __future__ import annotations

import base64
import random

import pytest
from nio.crypto import key_export

from libmatrix.crypto.key_file import FOOTER, HEADER, KeyFileWriter, read_key_file

_LONG = "alphanumerically" * 4
# Element's own examples: text, passphrase, lines.
_FILES = [
    (
        "plain",
        "password",
        "AXNhbHRzYWx0c2FsdHNhbHSIiIiIiIiIiIiIiIiIiIiIAAAACmIRUW2OjZ3L2l6j9h0lHlV3M2dx\n"
        "cissyYBxjsfsAndErh065A8=",
    ),
    (
        "Hello, World",
        "betterpassword",
        "AW1vcmVzYWx0bW9yZXNhbHT//////////wAAAAAAAAAAAAAD6KyBpe1Niv5M5NPm4ZATsJo5nghk\n"
        "KYu63a0YQ5DRhUWEKk7CcMkrKnAUiZny",
    ),
    (
        _LONG,
        "SWORDFISH",
        "AXllc3NhbHR5Z29vZG5lc3P//////////wAAAAAAAAAAAAAD6OIW+Je7gwvjd4kYrb+49gKCfExw\n"
        "MgJBMD4mrhLkmgAngwR1pHjbWXaoGybtiAYr0moQ93GrBQsCzPbvl82rZhaXO3iH5uHo/RCEpOqp\n"
        "Pgg29363BGR+/Ripq/VCLKGNbw==",
    ),
]


def _file(lines: str) -> bytes:
    return HEADER + b"\n" + lines.encode() + b"\n" + FOOTER


@pytest.mark.parametrize(("text", "passphrase", "lines"), _FILES)
def test_files_of_element_are_read(text: str, passphrase: str, lines: str) -> None:
    for data in (
        _file(lines),
        b"\xef\xbb\xbf" + _file(lines.replace("\n", "\r\n")) + b"\r\n",
        _file(lines.rstrip("=").replace("\n", "")),
    ):
        assert read_key_file(data, passphrase).decode() == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "first line"),
        (b"-----", "first line"),
        (HEADER + b"\n-----", "last line"),
        (_file(""), "too short"),
        (_file("AXNhbHRzYWx0c2FsdHNhbHSIiIiIiIiIiIiIiIiIiIiIAAAACmIRUW2OjZ3L2l6j"), "too short"),
        (_file(_FILES[0][2][:-4] + "AA8="), "passphrase is wrong"),
        (_file("A?" + _FILES[0][2]), "base64"),
        (_file("é"), "base64"),
        (_file("Ag" + _FILES[0][2][2:]), "unknown version"),
        (_file(base64.b64encode(b"\1" + bytes(32) + b"\xff" * 4 + bytes(40)).decode()), "rounds"),
        (_file(base64.b64encode(b"\1" + bytes(80)).decode()), "rounds"),
    ],
)
def test_what_is_no_key_file_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_key_file(data, "password")


def test_a_file_is_the_same_however_it_is_cut_and_others_read_it() -> None:
    chance = random.Random(7)
    text = b'[{"session_id": "' + b"x" * 5_000 + '", "name": "für"}]'.encode()
    for _ in range(20):
        writer, parts, at = KeyFileWriter("open sesame", 10), [], 0
        while at < len(text):
            size = chance.choice((0, 1, 71, 72, 73, 1_000))
            parts.append(writer.write(text[at : at + size]))
            at += size
        data = b"".join(parts) + writer.finish()
        lines = data.splitlines()
        assert lines[0] == HEADER and lines[-1] == FOOTER
        assert {len(line) for line in lines[1:-2]} == {96}
        assert read_key_file(data, "open sesame") == text
        assert key_export.decrypt("".join(line.decode() for line in lines[1:-1]), "open sesame")
    with pytest.raises(ValueError, match="passphrase is wrong"):
        read_key_file(data, "open says me")


def test_an_empty_text_makes_a_file() -> None:
    assert read_key_file(KeyFileWriter("p", 1).finish(), "p") == b""
