"""How one would call an operation: a line of C, of Lua and of Fennel for the reference.

Values come from ``ffi/api/examples.toml``; a required argument without one is a variable of its
own name. ``"$name"`` is a variable too.
"""

from __future__ import annotations

import json
import re

from .c_common import call, parameters
from .model import Api, Example, Field, Kind, Operation
from .names import kebab
from .text import quoted

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_SETTERS = {
    Kind.BOOL: "bool",
    Kind.INT: "int",
    Kind.DOUBLE: "double",
    Kind.STRING: "string",
    Kind.ENUM: "string",
    Kind.BYTES: "string",
}


def variables(operation: Operation, api: Api) -> list[str]:
    """The variables that the lines of an operation use, as C and Lua name them."""
    given = _given(operation, api).values()
    return sorted({name for value in given if (name := _variable(value))})


def c_lines(operation: Operation, api: Api) -> list[str]:
    """The options that are set, and the call."""
    given = _given(operation, api)
    out: list[str] = []
    for field in operation.options:
        if field.name in given:
            out += _c_option(field, given[field.name])
    names = [text for field in operation.args for text in _c_argument(field, given[field.name])]
    options = "options" if out else "NULL"
    arguments = ["client", *names, options, "callback", "user_data", "&request"]
    return out + call(f"matrix_{operation.name}", arguments, ";")


def lua_line(operation: Operation, api: Api) -> str:
    """The call with its callback."""
    given = _given(operation, api)
    parts = [_lua(given[field.name]) for field in operation.args]
    options = _options(operation, given)
    parts += [_lua(options)] if options else []
    return f"client:{operation.name}({', '.join([*parts, 'callback'])})"


def fennel_line(operation: Operation, api: Api) -> str:
    """The same in Fennel."""
    given = _given(operation, api)
    parts = [_fennel(given[field.name]) for field in operation.args]
    options = _options(operation, given)
    # Only the names of options may have hyphens; keys of content are what they are.
    parts += [_fennel({kebab(key): value for key, value in options.items()})] if options else []
    return f"({' '.join([f'client:{kebab(operation.name)}', *parts, 'callback'])})"


def _given(operation: Operation, api: Api) -> Example:
    given: Example = {field.name: f"${field.name}" for field in operation.args}
    return given | api.examples.get(operation.name, {})


def _options(operation: Operation, given: Example) -> Example:
    return {field.name: given[field.name] for field in operation.options if field.name in given}


def _variable(value: object) -> str:
    """The name of the variable that a value is, or ""."""
    return value[1:] if isinstance(value, str) and value.startswith("$") else ""


# -- C --------------------------------------------------------------------------------------------


def _c_argument(field: Field, value: object) -> list[str]:
    if _variable(value) == field.name:
        return [text.split(" ")[-1].lstrip("*") for text in parameters(field)]
    if field.type.kind is Kind.ENUM:
        return [f"MATRIX_{field.type.name.upper()}_{str(value).upper()}"]
    return [_c_value(value)]


def _c_value(value: object) -> str:
    if name := _variable(value):
        return name
    if isinstance(value, str):
        return quoted(value)
    text = json.dumps(value, ensure_ascii=False)
    return quoted(text) if isinstance(value, dict | list) else text


def _are_strings(value: list[object]) -> bool:
    return bool(value) and all(isinstance(item, str) for item in value)


def _c_option(field: Field, value: object) -> list[str]:
    setter = _SETTERS.get(field.type.kind)
    if setter:
        return call(
            f"matrix_map_set_{setter}", ["options", quoted(field.name), _c_value(value)], ";"
        )
    if field.type.kind is Kind.LIST and isinstance(value, list) and _are_strings(value):
        strings = f"(const char *[]){{{', '.join(map(_c_value, value))}}}"
        arguments = ["options", quoted(field.name), strings, str(len(value))]
        return call("matrix_map_set_strings", arguments, ";")
    if name := _variable(value):
        size = f"strlen({name})"
    else:
        name, size = _c_value(value), str(len(json.dumps(value, ensure_ascii=False).encode()))
    return call("matrix_map_set_json", ["options", quoted(field.name), name, size], ";")


# -- Lua and Fennel -------------------------------------------------------------------------------


def _lua(value: object) -> str:
    if isinstance(value, dict):
        fields = (f"{_lua_key(key)} = {_lua(item)}" for key, item in value.items())
        return f"{{ {', '.join(fields)} }}" if value else "{}"
    if isinstance(value, list):
        items = ", ".join(map(_lua, value))
        return f"{{ {items} }}" if value else "matrix.array {}"
    return _variable(value) or _plain(value)


def _lua_key(key: str) -> str:
    return key if _IDENTIFIER.fullmatch(key) else f"[{quoted(key)}]"


def _fennel(value: object) -> str:
    if isinstance(value, dict):
        fields = (f"{_fennel_key(key)} {_fennel(item)}" for key, item in value.items())
        return f"{{{' '.join(fields)}}}"
    if isinstance(value, list):
        return f"[{' '.join(map(_fennel, value))}]" if value else "(matrix.array {})"
    return kebab(_variable(value)) or _plain(value)


def _fennel_key(key: str) -> str:
    return f":{key}" if _SYMBOL.fullmatch(key) else quoted(key)


def _plain(value: object) -> str:
    return quoted(value) if isinstance(value, str) else json.dumps(value)
