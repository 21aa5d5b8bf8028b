"""Collects the licence texts of everything the bundle holds, and writes its NOTICE."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from errors import BundleError
from interpreter import Interpreter

TEXTS = re.compile(r"(licen[cs]e|copying|notice|authors|copyright)", re.IGNORECASE)


def _copy_all(texts: list[Path], base: Path, target: Path) -> None:
    for text in texts:
        place = target / text.relative_to(base)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(text, place)


def _metadata(folder: Path, key: str) -> str:
    for line in (folder / "METADATA").read_text(encoding="utf-8").splitlines():
        if line.startswith(key + ": "):
            return line.removeprefix(key + ": ")
        if not line:
            break
    return ""


def _declared(folder: Path) -> str:
    """The licence a wheel declares, however old its metadata is."""
    named = _metadata(folder, "License-Expression") or _metadata(folder, "License")
    if named and len(named) < 80:
        return named
    for line in (folder / "METADATA").read_text(encoding="utf-8").splitlines():
        if line.startswith("Classifier: License ::"):
            return line.split(" :: ")[-1]
    return "see its licence text"


def wheels(installed: Path, site: Path, target: Path) -> list[str]:
    """Copies the licence texts of the bundled wheels; returns one NOTICE line for each."""
    lines = []
    for folder in sorted(installed.glob("*.dist-info")):
        if not (site / folder.name).exists():
            continue
        files = [path for path in folder.rglob("*") if path.is_file()]
        texts = [path for path in files if TEXTS.search(path.name) or "licenses" in path.parts]
        name, version = _metadata(folder, "Name"), _metadata(folder, "Version")
        _copy_all(sorted(texts), folder, target / f"{name}-{version}")
        if not texts:
            place = target / f"{name}-{version}"
            place.mkdir(parents=True)
            shutil.copyfile(folder / "METADATA", place / "METADATA")
        lines.append(f"{name} {version}: {_declared(folder)}")
    return lines


def _debian_package(library: Path) -> str | None:
    for path in (library, Path(str(library).removeprefix("/usr"))):
        done = subprocess.run(
            ["dpkg-query", "--search", str(path)], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    return None


def libraries(sources: dict[str, Path], target: Path) -> list[str]:
    """Copies the licence texts of shared libraries taken from distribution packages."""
    lines = []
    for name, source in sorted(sources.items()):
        if "python" in name:
            continue
        package = _debian_package(source) if shutil.which("dpkg-query") else None
        text = Path("/usr/share/doc", package or "", "copyright")
        if package is None or not text.exists():
            named = next(source.parent.glob("LICENSE*"), None)
            if named is None:
                raise BundleError(f"no licence text is known for {source}; add it to licences.py")
            text = named
        place = target / name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(text, place / "copyright")
        version = ""
        if package:
            query = ["dpkg-query", "--show", "--showformat=${Version}", package]
            done = subprocess.run(query, capture_output=True, text=True, check=False)
            version = f" {done.stdout}" if done.returncode == 0 else ""
        lines.append(f"{name} ({package or source.name}{version})")
    return lines


def python(interpreter: Interpreter, target: Path) -> str:
    """Copies CPython's licence; returns its NOTICE line."""
    minor = interpreter.short_version
    candidates = [
        interpreter.stdlib / "LICENSE.txt",
        Path(f"/usr/share/doc/python{minor}/copyright"),
        Path(f"/usr/share/doc/libpython{minor}/copyright"),
    ]
    for text in candidates:
        if text.exists():
            place = target / f"python-{interpreter.version}"
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(text, place / "LICENSE")
            return f"Python {interpreter.version}: PSF-2.0 and the licences named in its text"
    raise BundleError(f"the licence of {interpreter.executable} was not found in {candidates}")


def _stated(name: str, file: Path, target: Path) -> None:
    """Keeps a licence that a file states: all of it, or the comment a C or Lua file opens with."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".h":
        text = text[: text.index("*/") + 2] + "\n"
    elif file.suffix == ".lua":
        lines = text.splitlines()
        end = next(index for index, line in enumerate(lines) if not line.startswith("--"))
        text = "\n".join(lines[:end]) + "\n"
    place = target / name
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{file.stem}.txt").write_text(text, encoding="utf-8")


def stated(files: list[tuple[str, str]], target: Path) -> None:
    """Keeps the licences that files of a name state themselves."""
    for name, file in files:
        _stated(name, Path(file), target)


def texts(
    embedded: Interpreter, sources: dict[str, Path], installed: Path, site: Path, target: Path
) -> list[str]:
    """Copies the licence texts of everything collected; returns the lines of the NOTICE."""
    shutil.rmtree(target, ignore_errors=True)
    lines = [python(embedded, target), *libraries(sources, target)]
    return lines + wheels(installed, site, target)


def notice(own: Path, lines: list[str], target: Path) -> None:
    """Writes the NOTICE of a bundle: the project's own, and what else is in it."""
    text = own.read_text(encoding="utf-8").rstrip() + "\n\nIn this bundle, with their licences:\n\n"
    target.write_text(text + "".join(f"  {line}\n" for line in lines), encoding="utf-8")
