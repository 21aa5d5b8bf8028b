"""Recovery keys and secret storage, with values that other implementations made."""

from __future__ import annotations

import msgspec
import pytest

from libmatrix.crypto.recovery_key import decode_recovery_key, derive_key, encode_recovery_key
from libmatrix.crypto.secret_storage import (
    KeyDescription,
    PassphraseInfo,
    Sealed,
    StorageKey,
    decrypt_secret,
    encrypt_secret,
    is_key_of,
    key_of_passphrase,
)
from libmatrix.crypto.signatures import decode_base64

_KEY = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
_TEXT = "EsTc LW2K PGiF wKEA 3As5 g5c4 BXwk qeeJ ZJV8 Q9fu gUMN UE4d"


def test_a_recovery_key_is_written_and_read() -> None:
    assert encode_recovery_key(_KEY) == _TEXT
    for text in (_TEXT, _TEXT.replace(" ", ""), f"\n {_TEXT}\t", _TEXT.replace(" ", " \r\n ")):
        assert decode_recovery_key(text) == _KEY
    with pytest.raises(ValueError, match="32"):
        encode_recovery_key(b"short")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_TEXT[:-1] + "e", "a letter is wrong"),
        (_TEXT[:-1] + "f", "a letter is wrong"),
        ("F" + _TEXT[1:], "begin"),
        ("Eq" + _TEXT[2:], "begin"),
        (_TEXT + "A", "too long"),
        (_TEXT * 1000, "too long"),
        (_TEXT[:-1], "begin"),
        (_TEXT.replace("W", "0"), "base58"),
        (_TEXT + "é", "base58"),
        ("", "begin"),
    ],
)
def test_what_is_no_recovery_key_is_refused_without_naming_it(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        decode_recovery_key(text)
    assert "LW2K" not in str(caught.value)


def test_the_number_of_rounds_has_limits() -> None:
    assert len(derive_key("passphrase", "salt", 1)) == 32
    for rounds in (0, -1, 2**53):
        with pytest.raises(ValueError, match="rounds"):
            derive_key("passphrase", "salt", rounds)


def _described(**fields: object) -> KeyDescription:
    content = {"algorithm": "m.secret_storage.v1.aes-hmac-sha2", **fields}
    return msgspec.convert(content, KeyDescription)


def test_a_key_of_another_implementation_is_recognised() -> None:
    key = decode_recovery_key("EsTj 3yST y93F SLpB jJsz eAXc 2XzA ygD3 w69H fGaN TKBj jXEd")
    mac = "ujBBbXahnTAMkmPUX2/0+VTfUh63pGyVRuBcDMgmJC8="
    assert is_key_of(key, _described(iv="xv5b6/p3ExEw++wTyfSHEg==", mac=mac))
    assert not is_key_of(_KEY, _described(iv="xv5b6/p3ExEw++wTyfSHEg==", mac=mac))
    assert not is_key_of(key, _described(iv="AA", mac=mac))
    assert not is_key_of(key, _described(iv="?", mac=mac))
    assert is_key_of(_KEY, _described(mac=mac))


def test_a_passphrase_of_another_implementation_is_recognised() -> None:
    info = PassphraseInfo("m.pbkdf2", "IuLnH7S85YtZmkkBJKwNUKxWF42g9O1H", 10)
    described = _described(
        iv="gH2iNpiETFhApvW6/FFEJQ", mac="9Lw12m5SKDipNghdQXKjgpfdj1/K7HFI2brO+UWAGoM"
    )
    assert is_key_of(key_of_passphrase("It's a secret to everybody", info), described)
    assert not is_key_of(key_of_passphrase("It's a secret to nobody", info), described)
    for wrong in (
        PassphraseInfo("m.scrypt", info.salt, 10),
        PassphraseInfo("m.pbkdf2", info.salt, 10, bits=128),
    ):
        with pytest.raises(ValueError, match="kind"):
            key_of_passphrase("It's a secret to everybody", wrong)


def test_a_new_key_fits_its_description_and_that_of_its_passphrase() -> None:
    plain, phrased = StorageKey.create(), StorageKey.create("open sesame", "Bot")
    assert plain.key_id != phrased.key_id and plain.key != phrased.key
    for made in (plain, phrased):
        again = msgspec.json.decode(msgspec.json.encode(made.description), type=KeyDescription)
        assert is_key_of(made.key, again)
    assert not is_key_of(plain.key, phrased.description)
    assert phrased.description.passphrase is not None and phrased.description.name == "Bot"
    assert key_of_passphrase("open sesame", phrased.description.passphrase) == phrased.key


def test_a_secret_opens_only_with_its_key_and_name() -> None:
    sealed = encrypt_secret(_KEY, "m.cross_signing.master", "sécret")
    assert decrypt_secret(_KEY, "m.cross_signing.master", sealed) == "sécret"
    assert decode_base64(sealed.iv)[8] < 0x80
    flipped = ("A" if sealed.mac[0] != "A" else "B") + sealed.mac[1:]
    for key, name, data in (
        (bytes(32), "m.cross_signing.master", sealed),
        (_KEY, "m.cross_signing.self_signing", sealed),
        (_KEY, "m.cross_signing.master", Sealed(sealed.iv, sealed.ciphertext, flipped)),
        (_KEY, "m.cross_signing.master", Sealed(sealed.iv, "", sealed.mac)),
        (_KEY, "m.cross_signing.master", Sealed("", sealed.ciphertext, sealed.mac)),
        (_KEY, "m.cross_signing.master", Sealed("?", "?", "?")),
    ):
        with pytest.raises(ValueError):
            decrypt_secret(key, name, data)
