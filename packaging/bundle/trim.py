"""What stays out of the bundle. `verify` imports all the rest: a wrong entry fails the build."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

# Names under the standard library: programs, tools for developers, other platforms, protocols and
# formats that nothing in the bundle speaks. A name stands for a module or a whole package.
STDLIB = """
__hello__ __phello__ _distutils_system_mod _aix_support _android_support _apple_support
_ios_support _osx_support _pyrepl _sysconfigdata* aifc antigravity asynchat asyncore audioop bdb
binhex bz2 cProfile cgi cgitb chunk cmd code codeop colorsys compileall compression crypt curses
dbm distutils doctest ensurepip filecmp fileinput formatter ftplib idlelib imaplib imghdr lib2to3
lzma mailbox mailcap modulefinder msilib multiprocessing nntplib optparse ossaudiodev pdb
pickletools pipes plistlib poplib profile pstats pty py_compile pyclbr pydoc pydoc_data
rlcompleter sched shelve site-packages dist-packages lib-dynload smtpd smtplib sndhdr spwd sunau
symtable tabnanny telnetlib test this timeit tkinter trace tty turtle turtledemo unittest uu venv
wave webbrowser wsgiref xdrlib xml xmlrpc zipapp config-* LICENSE*
""".split()

# Paths inside packages of the standard library that stay.
STDLIB_PATHS = """
asyncio/windows_* asyncio/tools.py concurrent/futures/process.py concurrent/futures/interpreter.py
concurrent/interpreters* ctypes/test* ctypes/macholib ctypes/wintypes.py encodings/mbcs.py
encodings/oem.py http/server.py json/tool.py logging/config.py sqlite3/test sqlite3/dump.py
importlib/simple.py importlib/resources/simple.py
""".split()

# The only text encodings kept; the runtime boots in UTF-8 mode and JSON is UTF-8.
ENCODINGS = """
__init__ aliases ascii base64_codec charmap cp1252 cp437 hex_codec idna iso8859_1 iso8859_15
latin_1 punycode raw_unicode_escape undefined unicode_escape utf_16 utf_16_be utf_16_le utf_32
utf_32_be utf_32_le utf_7 utf_8 utf_8_sig zlib_codec
""".split()

# Extension modules, by module name.
DYNLOAD = """
_bz2 _codecs_* _crypt _ctypes_test _curses* _dbm _elementtree _gdbm _interpchannels _interpqueues
_interpreters _lsprof _lzma _multibytecodec _multiprocessing _posixshmem _remote_debugging _test*
_tkinter _uuid _xx* audioop nis ossaudiodev pyexpat readline spwd syslog xx*
""".split()

# Everywhere in site-packages.
SITE_ANYWHERE = """
*.pyi *.pyx *.pxd *.pxi *.c *.h *.md *.rst *.txt py.typed tests test testing SelfTest benchmarks
__pycache__ __main__.py _testcapi.*
""".split()

# Paths in site-packages that nothing in the bundle uses. cffi's Python half only writes C at build
# time; frozenlist has the same class in Python, and its extension alone would need libstdc++.
SITE_PATHS = """
bin cffi pycparser Crypto/IO Crypto/Math/Primality.py Crypto/Math/_nat_* Crypto/PublicKey/DSA.py
Crypto/PublicKey/ElGamal.py Crypto/PublicKey/Hybrid.py Crypto/PublicKey/ML* Crypto/PublicKey/RSA.py
Crypto/PublicKey/_curve25519* Crypto/PublicKey/_ec_nat* Crypto/PublicKey/_ml*
Crypto/PublicKey/_montgomery.py Crypto/PublicKey/_nist_ecc.py Crypto/PublicKey/_openssh.py
Crypto/Signature/DSS.py Crypto/Signature/PKCS1* Crypto/Signature/mldsa.py Crypto/Signature/p*
Crypto/Cipher/PKCS1* Crypto/Cipher/oaep* Crypto/Cipher/_pkcs1* Crypto/Protocol/DH.py
Crypto/Protocol/HPKE.py
Crypto/Protocol/SecretSharing.py aiohttp/web.py aiohttp/web_*.py aiohttp/worker.py
aiohttp/test_utils.py aiohttp/pytest_plugin.py attr/_next_gen_docs.py attrs/mypy.py
frozenlist/_frozenlist.* jsonschema/cli.py playhouse/_* playhouse/[a-r]* playhouse/s[a-p]*
playhouse/sqlcipher* playhouse/sqlite_c* playhouse/sqlite_u* playhouse/test_utils.py pwiz.py
pyreqwest/pytest_plugin pyreqwest/compatibility msgspec/_pytest* python_socks/async_/anyio
python_socks/async_/trio python_socks/async_/curio
""".split()


def matches(name: str, patterns: Iterable[str]) -> bool:
    """True when one of the shell patterns fits the whole name."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def path_matches(path: str, patterns: Iterable[str]) -> bool:
    """True when a path, or a folder it lies in, fits one of the patterns."""
    parts = path.split("/")
    return any(matches("/".join(parts[:end]), patterns) for end in range(1, len(parts) + 1))


def drop_stdlib(path: str) -> bool:
    """Whether a path relative to the standard library stays out."""
    parts = path.split("/")
    if parts[-1] in ("__pycache__", "__main__.py") or matches(parts[0].removesuffix(".py"), STDLIB):
        return True
    if parts[0] == "encodings" and len(parts) == 2:
        return parts[1].removesuffix(".py") not in ENCODINGS
    return path_matches(path, STDLIB_PATHS)


def drop_dynload(file_name: str) -> bool:
    """Whether an extension module of the standard library stays out."""
    return matches(file_name.split(".")[0], DYNLOAD)


def drop_site(path: str) -> bool:
    """Whether a path relative to site-packages stays out."""
    if any(matches(part, SITE_ANYWHERE) for part in path.split("/")):
        return True
    return path_matches(path, SITE_PATHS)
