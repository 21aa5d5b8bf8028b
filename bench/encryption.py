"""Encrypted rooms: a stream of them, a first message to a crowd, a restart with many keys."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vodozemac import InboundGroupSession, MegolmMessage, SessionKey

from bench.crypto_fixture import CROWD, CROWD_ROOM, TOTAL, CryptoFixture

ROOT = Path(__file__).parent.parent
KEYS = 10_000
Rows = dict[str, list[float]]
Lines = Callable[..., list[Any]]


def floor(fixture: CryptoFixture) -> float:
    """Decrypting alone, by the same library."""
    seconds = 0.0
    for key, ciphertexts in fixture.floor():
        session = InboundGroupSession(SessionKey(key))
        start = time.perf_counter()
        for text in ciphertexts:
            session.decrypt(MegolmMessage.from_base64(text))
        seconds += time.perf_counter() - start
    return seconds


def measure(program: Path, folder: Path, runs: int, lines: Lines) -> None:
    """All three tables, turn by turn with matrix-nio where there is one."""
    nio = os.environ.get("MATRIX_NIO_PYTHON")
    peer = [nio, ROOT / "bench" / "nio_encrypted.py"] if nio else []
    for mode, more in (("stream", TOTAL), ("send", CROWD_ROOM)):
        rows: Rows = {}
        for run in range(runs):
            for label, command in (("C", [program]), ("nio", peer)):
                if not command:
                    continue
                # Each a device of its own.
                fixture = CryptoFixture()
                if mode == "stream" and label == "C":
                    rows.setdefault("decrypting", []).append(floor(fixture))
                with fixture as server:
                    store = folder / f"{mode}-{label}-{run}"
                    [row] = lines([*command, mode, server.url, store, more])
                rows.setdefault(label, []).append(row["seconds"])
        show(mode, rows)
    restart(program, folder, runs, lines, peer)


def restart(program: Path, folder: Path, runs: int, lines: Lines, peer: list[Any]) -> None:
    ours, theirs = folder / "keys-C", folder / "keys-nio"
    python = peer[0] if peer else sys.executable
    command = [python, ROOT / "bench" / "crypto_stores.py", KEYS, ours, *([theirs] if peer else [])]
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    subprocess.run([str(part) for part in command], check=True, env=env)
    rows: Rows = {}
    for _ in range(runs):
        for label, start, store in (("C", [program], ours), ("nio", peer, theirs)):
            if start:
                [row] = lines([*start, "open", "http://127.0.0.1:9", store])
                rows.setdefault(label, []).append(row["seconds"])
    show("open", rows)


def show(mode: str, rows: Rows) -> None:
    titles = {
        "stream": f"{TOTAL} encrypted events in 10 rooms into a callback",
        "send": f"first message to {CROWD} devices",
        "open": f"open a store with {KEYS} room keys",
    }
    title = f"{titles[mode]} (medians of {len(next(iter(rows.values())))})"
    print(f"\n{title}\n{'-' * len(title)}\n{'':12}{'seconds':>9}{'of nio':>9}", flush=True)
    found = {label: statistics.median(each) for label, each in rows.items()}
    for label, seconds in found.items():
        ratio = f"{found['nio'] / seconds:9.1f}" if "nio" in found else ""
        more = ""
        if mode == "stream":
            more = f"{TOTAL / seconds:12,.0f}/s{found['decrypting'] / seconds:8.2f} of decrypting"
        print(f"{label:12}{seconds:9.3f}{ratio}{more}", flush=True)
