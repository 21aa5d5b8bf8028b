"""Reads ``ffi/api/*.toml`` into the model."""

from __future__ import annotations

import tomllib
from pathlib import Path

from . import fields, names
from .entry import Entry
from .model import (
    Api,
    ApiError,
    Area,
    Enumeration,
    ErrorCode,
    Event,
    Example,
    Operation,
    Options,
    Record,
)

# Every other file is an area of operations, named after the file.
SPECIAL = ("enums", "errors", "events", "examples", "options", "records")


def load(folder: Path, taken: frozenset[str] = frozenset()) -> Api:
    """The list in `folder`. `taken` are C names, without matrix_, that it must leave alone."""
    files = {path.stem: _read(path) for path in sorted(folder.glob("*.toml"))}
    for name in SPECIAL:
        if name not in files:
            raise ApiError(f"{name}.toml: is missing")
    enums = {entry.name: entry for entry in map(_enumeration, files["enums"])}
    errors = _errors(files["errors"])
    records = _records(files["records"], enums)
    scope = fields.Scope(enums, records)
    options = {each.name: each for each in (_options(e, scope) for e in files["options"])}
    if set(options) != {"context", "client"}:
        raise ApiError("options.toml: must have the tables context and client, and no other")
    areas = tuple(
        _area(name, entries, scope, errors)
        for name, entries in files.items()
        if name not in SPECIAL
    )
    events = tuple(_event(entry, scope) for entry in files["events"])
    examples = _examples(files["examples"], areas)
    contexts, clients = options["context"], options["client"]
    api = Api(enums, errors, records, events, contexts, clients, areas, examples)
    _refuse_collisions(api, taken)
    return api


def _read(path: Path) -> list[tuple[str, Entry]]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ApiError(f"{path.name}: {error}") from error
    return [(name, Entry(f"{path.name}: {name}", table)) for name, table in tables.items()]


def _name(entry: Entry, name: str) -> str:
    problem = names.problem(name)
    if problem:
        raise entry.fail(f"the name {problem}")
    return name


def _since(entry: Entry) -> str:
    since = entry.text("since")
    if not names.SINCE.fullmatch(since):
        raise entry.fail("'since' must be a version as \"0.1\"")
    return since


def _enumeration(item: tuple[str, Entry]) -> Enumeration:
    name, entry = item[0], item[1]
    values = entry.texts("values")
    if not values:
        raise entry.fail("'values' is empty")
    for value in values:
        if not names.SNAKE_CASE.fullmatch(value):
            raise entry.fail(f"the value {value!r} is not snake_case")
        if value in ("unknown", "string"):
            raise entry.fail(f"the value {value!r} is taken by the generated C names")
    made = Enumeration(_name(entry, name), entry.text("doc"), values)
    entry.finish()
    return made


def _errors(items: list[tuple[str, Entry]]) -> dict[str, ErrorCode]:
    errors: dict[str, ErrorCode] = {}
    statuses: dict[int, str] = {}
    for name, entry in items:
        if not names.ERROR_CODE.fullmatch(name):
            raise entry.fail("an error's name is E_ and capitals")
        error = ErrorCode(name, entry.integer("status"), entry.text("doc"))
        entry.finish()
        if error.status in statuses:
            raise entry.fail(f"status {error.status} is that of {statuses[error.status]}")
        if error.status != -len(errors) - 1:
            raise entry.fail(f"statuses go down one by one: {-len(errors) - 1} is next")
        statuses[error.status] = name
        errors[name] = error
    return errors


def _records(items: list[tuple[str, Entry]], enums: dict[str, Enumeration]) -> dict[str, Record]:
    """A record may use those before it, so that every language can declare them in this order."""
    records: dict[str, Record] = {}
    for item in items:
        records[item[0]] = _record(item, fields.Scope(enums, records))
    if "error" not in records:
        raise ApiError("records.toml: the record 'error' is missing")
    return records


def _record(item: tuple[str, Entry], scope: fields.Scope) -> Record:
    name, entry = item
    record = Record(
        _name(entry, name), entry.text("doc"), fields.read_fields(entry, fields.RECORD, scope)
    )
    if not record.fields:
        raise entry.fail("'fields' is empty")
    if name == "error" and record.fields[0].name != "code":
        raise entry.fail("the first field must be 'code'")
    if any(field.name == "status" for field in record.fields) and name == "error":
        raise entry.fail("'status' is made by the generator")
    entry.finish()
    return record


def _options(item: tuple[str, Entry], scope: fields.Scope) -> Options:
    name, entry = item
    made = Options(name, entry.text("doc"), fields.read_fields(entry, fields.SETTINGS, scope))
    entry.finish()
    return made


def _event(item: tuple[str, Entry], scope: fields.Scope) -> Event:
    name, entry = item
    payload = entry.text("payload")
    if payload not in scope.records:
        raise entry.fail(f"the payload {payload!r} is no record")
    event = Event(
        _name(entry, name),
        _since(entry),
        entry.text("doc"),
        payload,
        fields.read_fields(entry, fields.FILTER, scope),
    )
    entry.finish()
    return event


def _area(
    name: str, items: list[tuple[str, Entry]], scope: fields.Scope, errors: dict[str, ErrorCode]
) -> Area:
    if names.problem(name):
        raise ApiError(f"{name}.toml: the file's name {names.problem(name)}")
    return Area(name, tuple(_operation(name, item, scope, errors) for item in items))


def _operation(
    area: str, item: tuple[str, Entry], scope: fields.Scope, errors: dict[str, ErrorCode]
) -> Operation:
    name, entry = item
    operation = Operation(
        area=area,
        name=_name(entry, name),
        since=_since(entry),
        doc=entry.text("doc"),
        spec=entry.optional_text("spec"),
        args=fields.read_fields(entry, fields.ARGUMENTS, scope),
        options=fields.read_fields(entry, fields.OPTIONS, scope),
        result=fields.read_fields(entry, fields.RESULT, scope),
        progress=fields.read_fields(entry, fields.PROGRESS, scope),
        errors=entry.texts("errors"),
    )
    entry.finish()
    fields.refuse_duplicates(entry, operation.inputs)
    if operation.spec and not names.SPEC.fullmatch(operation.spec):
        raise entry.fail("'spec' must be a page and a section, as client-server-api#login")
    for code in operation.errors:
        if code not in errors and not names.SERVER_CODE.fullmatch(code):
            raise entry.fail(f"unknown error code {code!r}")
    return operation


def _examples(items: list[tuple[str, Entry]], areas: tuple[Area, ...]) -> dict[str, Example]:
    """Values for operations that exist, by the names of their arguments and options."""
    operations = {operation.name: operation for area in areas for operation in area.operations}
    made: dict[str, Example] = {}
    for name, entry in items:
        if name not in operations:
            raise entry.fail("there is no such operation")
        fields = [field.name for field in operations[name].inputs]
        made[name] = {field: entry.take(field) for field in fields if entry.has(field)}
        entry.finish()
    return made


def _refuse_collisions(api: Api, taken: frozenset[str]) -> None:
    """Operations, enums and records share the prefix matrix_ in C with the hand-written names."""
    owners = dict.fromkeys(taken, "matrix.h") | {"status": "status.gen.h"}
    for method in names.CLIENT_METHODS:
        owners.setdefault(method, "the methods of a client in Lua")
    made = [(name, f"enums.toml: {name}") for name in api.enums]
    made += [(f"{name}_string", f"enums.toml: {name}") for name in api.enums]
    made += [(name, f"records.toml: {name}") for name in api.records]
    made += [(f"reply_as_{name}", f"records.toml: {name}") for name in api.records]
    made += [(each.name, f"{each.area}.toml: {each.name}") for each in api.operations]
    for name, where in made:
        if name in owners:
            raise ApiError(f"{where}: the name matrix_{name} is taken by {owners[name]}")
        owners[name] = where
    _refuse_class_collisions(api)


def _refuse_class_collisions(api: Api) -> None:
    """Everything is a class of one module in Python and in Lua's types."""
    owners = dict.fromkeys(names.CLASSES, "the module itself")
    made = [(names.camel(name), f"enums.toml: {name}") for name in api.enums]
    made += [(names.camel(name), f"records.toml: {name}") for name in api.records]
    made += [(f"{names.camel(o.name)}Options", "options.toml") for o in api.settings]
    made += [
        (f"{names.camel(event.name)}Filter", f"events.toml: {event.name}") for event in api.events
    ]
    for operation in api.operations:
        where = f"{operation.area}.toml: {operation.name}"
        made += [
            (names.camel(operation.name) + part, where)
            for part in ("Arguments", "Options", "Result", "Payload", "Progress")
        ]
    for name, where in made:
        if name in owners:
            raise ApiError(f"{where}: the class {name} is taken by {owners[name]}")
        owners[name] = where
