"""What the list says, as plain immutable objects."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass


class ApiError(Exception):
    """The list is wrong; the message names the file, the entry and what to change."""


class Kind(enum.Enum):
    """The kinds of types a field may have."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    BYTES = "bytes"
    JSON = "json"
    ENUM = "enum"
    RECORD = "record"
    LIST = "list"


@dataclass(frozen=True)
class Type:
    """A field's type: `name` is that of the enum or record, `item` the type of a list's items."""

    kind: Kind
    name: str = ""
    item: Type | None = None

    def __str__(self) -> str:
        if self.item is not None:
            return f"list<{self.item}>"
        return self.name or self.kind.value


Default = bool | int | float | str | None
# Values of an operation's arguments and options in its examples.
Example = dict[str, object]


@dataclass(frozen=True)
class Field:
    """An argument, an option, or a field of a result, progress report or record."""

    name: str
    type: Type
    doc: str
    required: bool
    default: Default = None
    secret: bool = False
    # Of an integer that is passed in: what it may be, both included.
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True)
class Enumeration:
    """A closed set of strings."""

    name: str
    doc: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class ErrorCode:
    """One of libmatrix's own error codes, with its number in C."""

    name: str
    status: int
    doc: str


@dataclass(frozen=True)
class Record:
    """A map with known fields; in C also a plain struct."""

    name: str
    doc: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Event:
    """A kind of event that can be subscribed to."""

    name: str
    since: str
    doc: str
    payload: str
    filter: tuple[Field, ...]


@dataclass(frozen=True)
class Options:
    """The options of a hand-written function."""

    name: str
    doc: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Operation:
    """One operation of a client."""

    area: str
    name: str
    since: str
    doc: str
    spec: str
    args: tuple[Field, ...]
    options: tuple[Field, ...]
    result: tuple[Field, ...]
    progress: tuple[Field, ...]
    errors: tuple[str, ...]

    @property
    def inputs(self) -> tuple[Field, ...]:
        """Arguments and options, as they cross to the runtime: in one map."""
        return self.args + self.options


@dataclass(frozen=True)
class Area:
    """The operations of one file of the list."""

    name: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Api:
    """The whole list."""

    enums: dict[str, Enumeration]
    errors: dict[str, ErrorCode]
    records: dict[str, Record]
    events: tuple[Event, ...]
    context_options: Options
    client_options: Options
    areas: tuple[Area, ...]
    examples: dict[str, Example]

    @property
    def settings(self) -> tuple[Options, Options]:
        """The options of matrix_init and of matrix_create_client."""
        return self.context_options, self.client_options

    @property
    def operations(self) -> Iterator[Operation]:
        """Every operation, by area and then as listed."""
        for area in self.areas:
            yield from area.operations
