"""Reads fields: their names, types and defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass

from . import names
from .entry import Entry
from .model import Default, Enumeration, Field, Kind, Record, Type

PLAIN = {kind.value: kind for kind in Kind if kind not in (Kind.ENUM, Kind.RECORD, Kind.LIST)}
INT64 = 2**63
DEFAULT_TYPES: dict[Kind, type] = {
    Kind.BOOL: bool,
    Kind.INT: int,
    Kind.DOUBLE: float,
    Kind.STRING: str,
    Kind.ENUM: str,
}


@dataclass(frozen=True)
class Scope:
    """What field types may refer to."""

    enums: dict[str, Enumeration]
    records: dict[str, Record]


@dataclass(frozen=True)
class Role:
    """What fields of a list may say of themselves."""

    key: str
    required: bool = False  # unless said otherwise
    may_require: bool = False
    may_default: bool = False
    may_be_optional: bool = False
    is_output: bool = False


ARGUMENTS = Role("args", required=True)
OPTIONS = Role("options", may_default=True)
SETTINGS = Role("options", may_default=True, may_require=True)
FILTER = Role("filter", may_default=True)
RESULT = Role("result", required=True, may_be_optional=True, is_output=True)
PROGRESS = Role("progress", required=True, may_be_optional=True, is_output=True)
RECORD = Role("fields", required=True, may_be_optional=True, is_output=True)


def read_fields(entry: Entry, role: Role, scope: Scope) -> tuple[Field, ...]:
    """The fields under `role.key` of `entry`."""
    fields = tuple(_read_field(item, role, scope) for item in entry.entries(role.key))
    refuse_duplicates(entry, fields)
    return fields


def refuse_duplicates(entry: Entry, fields: tuple[Field, ...]) -> None:
    """Refuses a name that two fields have, also as the C names that are made of it."""
    seen: set[str] = set()
    for field in fields:
        if field.name in seen:
            raise entry.fail(f"two fields have the name {field.name!r}")
        seen.add(field.name)
    for field in fields:
        for made in (f"has_{field.name}", f"{field.name}_size"):
            if made in seen:
                raise entry.fail(f"{made!r} is what C may need beside {field.name!r}")


def _read_field(entry: Entry, role: Role, scope: Scope) -> Field:
    name = entry.text("name")
    entry.where += f" {name}"
    _check_name(entry, name, role)
    kind = _read_type(entry, scope)
    if not role.is_output:
        _refuse_optional_json(entry, kind, scope)
    required = role.required
    if role.may_be_optional:
        required = not entry.flag("optional")
    if role.may_require:
        required = entry.flag("required")
    default = _read_default(entry, kind, scope) if role.may_default else None
    if required and default is not None:
        raise entry.fail("what is required has no default")
    least, most = _read_range(entry, kind, role, default)
    doc, secret = entry.text("doc"), entry.flag("secret")
    entry.finish()
    return Field(name, kind, doc, required, default, secret, least, most)


def _read_range(
    entry: Entry, kind: Type, role: Role, default: Default
) -> tuple[int | None, int | None]:
    """What `min` and `max` say."""
    if not (entry.has("min") or entry.has("max")):
        return None, None
    if kind.kind is not Kind.INT or role.is_output:
        raise entry.fail("only integers that are passed in have 'min' and 'max'")
    least = entry.integer("min") if entry.has("min") else None
    most = entry.integer("max") if entry.has("max") else None
    low, high = -INT64 if least is None else least, INT64 - 1 if most is None else most
    if not -INT64 <= low < high < INT64:
        raise entry.fail("'min' and 'max' leave nothing, or do not fit into 64 bits")
    if isinstance(default, int) and not low <= default <= high:
        raise entry.fail("the default is not within 'min' and 'max'")
    return least, most


def _check_name(entry: Entry, name: str, role: Role) -> None:
    problem = names.problem(name)
    if problem:
        raise entry.fail(f"the name {problem}")
    if not role.is_output and name in names.PARAMETERS:
        raise entry.fail("the name is that of a parameter many functions have")
    if role.is_output and name in names.PAYLOAD:
        raise entry.fail("the name is taken in Lua's payload table")


def _read_type(entry: Entry, scope: Scope) -> Type:
    text = entry.text("type")
    if text.startswith("list<") and text.endswith(">"):
        item = _plain_type(text[5:-1], scope)
        if item is not None:
            return Type(Kind.LIST, item=item)
    else:
        plain = _plain_type(text, scope)
        if plain is not None:
            return plain
    raise entry.fail(f"unknown type {text!r}")


def _refuse_optional_json(entry: Entry, kind: Type, scope: Scope) -> None:
    """msgspec cannot decode "any value, as text, or nothing" inside what a host passes."""
    name = (kind.item or kind).name
    if name not in scope.records:
        return
    for field in scope.records[name].fields:
        if field.type.kind is Kind.JSON and not field.required:
            raise entry.fail(f"the record {name} has optional json, so it can only be given out")
        _refuse_optional_json(entry, field.type, scope)


def _plain_type(text: str, scope: Scope) -> Type | None:
    if text in PLAIN:
        return Type(PLAIN[text])
    if text in scope.enums:
        return Type(Kind.ENUM, text)
    if text in scope.records:
        return Type(Kind.RECORD, text)
    return None


def _read_default(entry: Entry, kind: Type, scope: Scope) -> Default:
    if not entry.has("default"):
        return None
    value = entry.take("default")
    wanted = DEFAULT_TYPES.get(kind.kind)
    if wanted is None:
        raise entry.fail(f"a {kind} has no default")
    if type(value) is not wanted:
        raise entry.fail(f"the default must be of type {wanted.__name__}")
    if isinstance(value, int) and not -INT64 <= value < INT64:
        raise entry.fail("the default does not fit into 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise entry.fail("the default is not a finite number")
    if kind.kind is Kind.ENUM and value not in scope.enums[kind.name].values:
        raise entry.fail(f"the default {value!r} is no value of {kind.name}")
    assert isinstance(value, bool | int | float | str)
    return value
