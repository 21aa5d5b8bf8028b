"""What every step shares: where things are, how it speaks, how it runs other programs."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
CACHE = BUILD / "cache"
LOCKS = ROOT / "packaging" / "locks"


class SetupError(Exception):
    """Something is missing or wrong that the reader of the message can put right."""


def say(text: str) -> None:
    """Prints one line of progress at once, in order with what child processes print."""
    print(f"bootstrap: {text}", flush=True)


def shown(path: Path) -> str:
    """The path as seen from the repository, where it is inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    quiet: bool = False,
) -> None:
    """Runs a program to its end; a failure becomes a `SetupError` that shows what it said."""
    words = [str(word) for word in command]
    result = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode != 0:
        told = f":\n{result.stdout.rstrip()}" if quiet and result.stdout else ""
        raise SetupError(f"`{shlex.join(words)}` failed ({result.returncode}){told}")


def output_of(command: Sequence[str | Path]) -> str:
    """What a program prints; empty when it fails or does not exist."""
    try:
        result = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError:
        return ""
    return result.stdout if result.returncode == 0 else ""


def digest_of(*parts: str | bytes) -> str:
    """One SHA-256 over all parts, for stamp files."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """The SHA-256 of a file; empty when there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def stamped(folder: Path, digest: str) -> bool:
    """Whether `stamp` has marked this folder as finished with these inputs."""
    try:
        return (folder / ".bootstrap").read_text() == digest
    except OSError:
        return False


def stamp(folder: Path, digest: str) -> None:
    """Marks a folder as finished; the last thing a step does."""
    (folder / ".bootstrap").write_text(digest)


@contextlib.contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Keeps two runs of one step apart; the second waits and then finds the work done."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def pip_command() -> list[str]:
    """A pip that runs in this Python: its own, else the copy that `ensurepip` carries."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    folders = [Path("/usr/share/python-wheels")]
    if spec := importlib.util.find_spec("ensurepip"):
        folders.insert(0, Path(spec.origin or "").parent / "_bundled")
    for wheel in (path for folder in folders for path in sorted(folder.glob("pip-*.whl"))):
        return [sys.executable, str(wheel / "pip")]
    raise SetupError(
        f"{sys.executable} has no pip; install it (Debian: python3-venv) or choose another "
        "Python with PYTHON=…"
    )
