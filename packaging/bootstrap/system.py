"""Packages of the distribution: which are needed for what, and getting the missing ones."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import common
from common import SetupError, say

# Package → what shows that it is there, whoever installed it: a program, or a file.
_BUILD = {"gcc": "gcc", "g++": "g++", "make": "make"}
_DEMO = {"lua5.4": "lua5.4"}
_TEST = {
    "lua5.1": "lua5.1",
    "lua5.2": "lua5.2",
    "lua5.3": "lua5.3",
    "lua5.4": "lua5.4",
    "luajit": "luajit",
    "lua-cjson": "/usr/share/doc/lua-cjson",
    "luarocks": "luarocks",
    "valgrind": "valgrind",
    "debootstrap": "debootstrap",
    "pkg-config": "pkg-config",
    "libsqlite3-dev": "/usr/include/sqlite3.h",
    "libssl-dev": "/usr/include/openssl/ssl.h",
    "openssl": "openssl",
    # What the examples run in: a window, a screen for it, keys and pictures; an editor.
    "love": "love",
    "libgl1-mesa-dri": "/usr/share/doc/libgl1-mesa-dri",
    "xvfb": "Xvfb",
    "xdotool": "xdotool",
    "imagemagick": "import",
    "neovim": "nvim",
}
_PACKAGE = {"dpkg-dev": "dpkg-shlibdeps", "file": "file"}
_INSTALL = (
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    "apt-get",
    "-q",
    "-y",
    "-oDpkg::Use-Pty=0",
    "--no-install-recommends",
    "install",
)


def for_build() -> None:
    """The compiler, and the library and headers of a distribution's own Python."""
    _need("build", _BUILD | _python_packages())


def for_demo() -> None:
    """The Lua that runs the examples."""
    _need("demo", _DEMO)


def for_test() -> None:
    """Every Lua the tests run in, and the tools around them."""
    _need("test", _TEST)


def for_package() -> None:
    """What CPack finds out the dependencies of a .deb with."""
    _need("package", _PACKAGE)


def _python_packages() -> dict[str, str]:
    """A distribution splits its Python up; one built by hand has all its parts."""
    if sys.base_prefix != "/usr":
        return {}
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(sysconfig.get_config_var("LIBDIR"), f"lib{name}.so")
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    if multiarch and library.parent.name != multiarch:
        library = library.parent / multiarch / library.name
    venv = Path(sysconfig.get_path("stdlib"), "ensurepip", "__init__.py")
    header = Path(sysconfig.get_path("include"), "Python.h")
    return {f"lib{name}-dev": str(library), f"{name}-dev": str(header), f"{name}-venv": str(venv)}


def _present(sign: str) -> bool:
    return Path(sign).exists() if sign.startswith("/") else shutil.which(sign) is not None


def _need(purpose: str, packages: dict[str, str]) -> None:
    missing = sorted(name for name, sign in packages.items() if not _present(sign))
    if not missing:
        return say(f"system packages for {purpose}: all there")
    names = " ".join(missing)
    if os.environ.get("APT") == "0":
        raise SetupError(f"APT=0, and these packages are missing for {purpose}: {names}")
    if not shutil.which("apt-get"):
        raise SetupError(f"no apt-get here; install what Debian calls: {names}")
    with common.exclusive("apt"):
        _install(purpose, [name for name in missing if not _present(packages[name])])
    if lacking := [name for name in missing if not _present(packages[name])]:
        raise SetupError(
            f"installed, yet not found: {', '.join(f'{n} ({packages[n]})' for n in lacking)}"
        )
    return None


def _install(purpose: str, names: list[str]) -> None:
    if not names:
        return
    say(f"installing for {purpose}: {' '.join(names)}")
    try:
        common.run([*_as_root(), "apt-get", "-q", "update"], quiet=True)
    except SetupError as error:
        # One unreachable third-party source must not stop the rest.
        say(f"going on although {error}")
    common.run([*_as_root(), *_INSTALL, *names], quiet=True)


def _as_root() -> list[str]:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        return ["sudo"]
    raise SetupError("not root and no sudo; install the packages named above, or use APT=0")
