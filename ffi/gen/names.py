"""Which names the list may use: those that are an identifier in C, C++, Lua and Python alike."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

C_KEYWORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while alignas alignof bool constexpr false nullptr static_assert
    thread_local true typeof typeof_unqual asm""".split()
)
CPP_KEYWORDS = frozenset(
    """and and_eq asm atomic_cancel atomic_commit atomic_noexcept bitand bitor catch char8_t
    char16_t char32_t class compl concept const_cast consteval constinit co_await co_return
    co_yield decltype delete dynamic_cast explicit export friend mutable namespace new noexcept
    not not_eq operator or or_eq private protected public reflexpr reinterpret_cast requires
    static_cast synchronized template this throw try typeid typename using virtual wchar_t xor
    xor_eq""".split()
)
LUA_KEYWORDS = frozenset(
    """and break do else elseif end false for function global goto if in local nil not or repeat
    return then true until while""".split()
)
PYTHON_KEYWORDS = frozenset(keyword.kwlist)
# Predefined by compilers or likely to be a macro in a host's headers.
C_MACROS = frozenset("linux unix i386 errno stdin stdout stderr assert complex near far".split())

# Types that the Python structs mention, which a field's name would hide.
PYTHON_TYPES = frozenset("bytes list str".split())
# Classes of the Python module and of the Lua types that are written by hand.
CLASSES = frozenset(
    """ClassVar ErrorCode EventSpec Input Literal OperationSpec Output Raw Struct
    Client Cursor Payload Question Request Subscription Task Version""".split()
)

# The wrappers' own parameters, and what Lua's payload table holds beside the result's fields.
PARAMETERS = frozenset("client options callback user_data request on_progress self".split())
PAYLOAD = frozenset("ok error".split())
# What a client has in Lua that is not an operation.
CLIENT_METHODS = frozenset("close cursor events pollfd subscribe timeout".split())

SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
ERROR_CODE = re.compile(r"E_[A-Z0-9]+(_[A-Z0-9]+)*")
SERVER_CODE = re.compile(r"M_[A-Z0-9]+(_[A-Z0-9]+)*")
SINCE = re.compile(r"[0-9]+\.[0-9]+")
SPEC = re.compile(r"[a-z-]+#[a-z0-9_-]+")


def problem(name: str) -> str | None:
    """Why `name` cannot be used in every language, or None."""
    if not SNAKE_CASE.fullmatch(name):
        return "is not snake_case"
    for language, words in (
        ("C", C_KEYWORDS),
        ("C++", CPP_KEYWORDS),
        ("Lua", LUA_KEYWORDS),
        ("Python", PYTHON_KEYWORDS),
    ):
        if name in words:
            return f"is a keyword of {language}"
    if name in PYTHON_TYPES:
        return "hides a type in Python"
    if name in C_MACROS:
        return "is a macro of some C compiler or header"
    return None


def taken(folder: Path) -> frozenset[str]:
    """The names, without matrix_, of functions and types that the hand-written headers declare."""
    headers = [path for path in sorted(folder.glob("*.h")) if not path.name.endswith(".gen.h")]
    written = "".join(path.read_text("utf-8") for path in headers)
    text = re.sub(r"/\*.*?\*/", "", written, flags=re.DOTALL)
    functions = re.findall(r"^MATRIX_API\b[^;(]*?\bmatrix_(\w+)\(", text, flags=re.MULTILINE)
    types = re.findall(r"^\}\s*matrix_(\w+);", text, flags=re.MULTILINE)
    opaque = re.findall(r"^typedef struct matrix_\w+ matrix_(\w+);", text, flags=re.MULTILINE)
    callbacks = re.findall(r"^typedef [^;]*\(\*matrix_(\w+)\)", text, flags=re.MULTILINE)
    return frozenset(functions + types + opaque + callbacks)


def camel(name: str) -> str:
    """``send_text`` as ``SendText``."""
    return "".join(part.capitalize() for part in name.split("_"))


def kebab(name: str) -> str:
    """``send_text`` as ``send-text``."""
    return name.replace("_", "-")
