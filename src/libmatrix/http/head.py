"""Heads of requests, put together so strictly that nothing is smuggled."""

import re
from collections.abc import Mapping

from libmatrix.http.errors import HttpArgumentError

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

# The connection decides these; a caller who sets them could desynchronise it.
_RESERVED = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade"}
)


class Fields:
    """Header fields, checked and laid out once for all requests that have them."""

    __slots__ = ("items", "names", "text")

    def __init__(self, items: Mapping[str, str]) -> None:
        """Raises `HttpArgumentError`, which names no value."""
        self.items = dict(items)
        self.names = frozenset(name.lower() for name in items)
        if self.names & _RESERVED:
            taken = ", ".join(sorted(self.names & _RESERVED))
            raise HttpArgumentError(f"headers: {taken} cannot be set")
        for name, value in items.items():
            if not _TOKEN.fullmatch(name):
                raise HttpArgumentError("headers: a name holds characters that are not allowed")
            if not _VALUE.fullmatch(value):
                raise HttpArgumentError(f"headers: the value of {name} holds control characters")
        self.text = _lines(self.items)

    def __repr__(self) -> str:
        """Leaves out the values, which may be secrets."""
        return f"Fields({', '.join(sorted(self.names))})"


def own_text(own: Mapping[str, str], names: frozenset[str]) -> str:
    """The fields of the client's own, but those that the caller has under these names."""
    return _lines({name: text for name, text in own.items() if name.lower() not in names})


def request_head(method: str, target: str, own: str, framing: str, fields: Fields) -> bytes:
    """The head of a request; `own` is of `own_text`, `framing` says how long the body is."""
    if not (method.isascii() and method.isalpha() and method.isupper()):
        raise HttpArgumentError("method: must be upper-case letters")
    head = f"{method} {target} HTTP/1.1\r\n{own}{framing}{fields.text}\r\n"
    return head.encode("latin-1")


def _lines(fields: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
