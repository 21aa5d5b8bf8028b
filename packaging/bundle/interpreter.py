"""Facts about the interpreter that runs this program: it is the one that gets embedded."""

from __future__ import annotations

import platform
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import elf
from errors import BundleError

OLDEST = (3, 11)


@dataclass(frozen=True)
class Interpreter:
    """Where the parts of an installed CPython are."""

    version: str
    executable: Path
    library: Path
    include: Path
    stdlib: Path
    dynload: Path

    @property
    def short_version(self) -> str:
        """Major and minor version, as in file names."""
        return ".".join(self.version.split(".")[:2])


def _variable(name: str) -> str:
    return str(sysconfig.get_config_var(name) or "")


def _shared_library() -> Path:
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        version = platform.python_version()
        raise BundleError(
            f"{sys.executable} (Python {version}) has no shared libpython and cannot be embedded.\n"
            f"Name another one with -DMATRIX_PYTHON=/path/to/python3, or build this one shared:\n"
            f"  PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {version}\n"
            "or install the distribution's python3-dev package and name /usr/bin/python3."
        )
    name = _variable("INSTSONAME") or _variable("LDLIBRARY")
    folders = [_variable("LIBDIR"), str(Path(sys.base_prefix, "lib"))]
    for folder in folders:
        if folder and Path(folder, name).exists():
            return Path(folder, name).resolve()
    raise BundleError(
        f"{name} of {sys.executable} is in none of {', '.join(folders)}; install the package "
        f"that holds it (Debian: libpython{'.'.join(platform.python_version_tuple()[:2])})"
    )


def _dynload(stdlib: Path) -> Path:
    named = _variable("DESTSHARED")
    return Path(named) if named and Path(named).is_dir() else stdlib / "lib-dynload"


def current() -> Interpreter:
    """Describes the running interpreter, or says why it cannot be embedded."""
    if sys.implementation.name != "cpython" or sys.version_info < OLDEST:
        raise BundleError(
            f"{sys.executable} is {sys.implementation.name} {platform.python_version()}; "
            f"libmatrix embeds CPython {OLDEST[0]}.{OLDEST[1]} or newer (-DMATRIX_PYTHON=…)"
        )
    paths = sysconfig.get_paths()
    stdlib = Path(paths["stdlib"])
    include = Path(paths["include"])
    if not (include / "Python.h").exists():
        raise BundleError(
            f"{include / 'Python.h'} is missing; install the headers of {sys.executable} "
            f"(Debian: python{'.'.join(platform.python_version_tuple()[:2])}-dev)"
        )
    return Interpreter(
        version=platform.python_version(),
        executable=Path(sys.executable),
        library=_shared_library(),
        include=include,
        stdlib=stdlib,
        dynload=_dynload(stdlib),
    )


def crypto_library(python: Interpreter) -> str:
    """The private name of the libcrypto that Python's ssl module loads; empty if it is inside."""
    for module in python.dynload.glob("_ssl.*"):
        for name in elf.resolve(module):
            if name.startswith("libcrypto."):
                return private_name(name)
    return ""


def private_name(soname: str) -> str:
    """The name a shared library has inside the bundle: no host can have it loaded already."""
    return "libmatrix-" + soname.removeprefix("lib")
