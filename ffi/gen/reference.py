"""docs/reference: one page for each area, and pages of options, events, records and errors."""

from __future__ import annotations

from . import examples
from .model import Api, Area, Enumeration, Event, Field, Kind, Operation, Record
from .names import kebab
from .text import NOTE, default_text, lines, range_text, spec_url

BANNER = f"<!-- {NOTE} -->"
INDEX_PROSE = """\
What libmatrix can do, from the same list as the C header and the Lua module, so names, order and
defaults agree everywhere. [Errors](../errors.md), [ownership](../ownership.md) and
[threads](../threading.md) work alike for all.

In Lua and Fennel a call takes its arguments, a table of options (may be left out) and a callback;
without a callback it gives the payload back, inside `matrix.run`. Fennel's names have hyphens. In C
options are a `matrix_map`, or NULL; results are read from `matrix_reply_value(reply)` by
`matrix_value_get_string` and its like. Without a callback, `matrix_wait` waits for the reply.

Types: bool, int (64 bits), double, string (UTF-8), bytes (in C a pointer and a size; as an option
base64 text), json (any value), list, one of several strings, or a [record](records.gen.md). What is
*secret* is never logged.

Each operation names the errors it is known for. Whatever asks the homeserver may end with
`E_CONNECTION`, `E_TIMEOUT`, `E_TLS`, `E_PROXY`, `E_INVALID_RESPONSE`, `M_UNKNOWN_TOKEN` or
`M_LIMIT_EXCEEDED` as well, what is [sent](../sending.md) with `E_STORE`, and everything with
`E_CANCELLED` or `E_SHUTDOWN`.
""".splitlines()


def pages(api: Api) -> dict[str, str]:
    """Every page's text by its file name."""
    made = {f"{area.name}.gen.md": _area(area, api) for area in api.areas}
    made["index.gen.md"] = _index(api)
    made["options.gen.md"] = _options(api)
    made["events.gen.md"] = _events(api)
    made["records.gen.md"] = _records(api)
    made["errors.gen.md"] = _errors(api)
    return made


def _index(api: Api) -> str:
    out = [BANNER, "# Reference", "", *INDEX_PROSE]
    for area in api.areas:
        out += ["", f"**[{title(area.name)}]({area.name}.gen.md)**", ""]
        for operation in area.operations:
            link = f"[`{operation.name}`]({area.name}.gen.md#{operation.name})"
            out.append(f"- {link}: {operation.doc}")
    out += ["", "**More**", ""]
    out += ["- [Options](options.gen.md) of a context and of a client"]
    out += ["- [Events](events.gen.md) that can be subscribed to"]
    out += ["- [Records and enums](records.gen.md)"]
    return lines(out, ["- [Error codes](errors.gen.md)"])


# The page of docs that tells of an area.
_GUIDES = {
    "login": ("session", "sso", "oauth"),
    "sync": ("sync",),
    "store": ("state",),
    "rooms": (
        "rooms",
        "membership",
        "room_settings",
        "directory",
        "direct",
        "tags",
        "spaces",
    ),
    "messages": ("messages", "polls"),
    "sending": ("sending",),
    "history": ("history",),
    "receipts": ("receipts", "safety"),
    "devices": ("devices",),
    "encryption": ("encryption", "keys"),
    "trust": ("trust", "secrets", "backup"),
    "verification": ("verification",),
}
GUIDES = {area: guide for guide, areas in _GUIDES.items() for area in areas}
_TITLES = {"direct": "Direct rooms", "oauth": "OAuth 2.0", "sso": "Single sign-on"}


def title(name: str) -> str:
    """``some_area`` as a heading."""
    return _TITLES.get(name) or name.replace("_", " ").capitalize()


def _area(area: Area, api: Api) -> str:
    out = [BANNER, f"# {title(area.name)}", "", "[Reference](index.gen.md)"]
    if area.name in GUIDES:
        out[-1] += f" · [Guide](../{GUIDES[area.name]}.md)"
    for operation in area.operations:
        out += ["", *_operation(operation, api)]
    return lines(out)


def _operation(operation: Operation, api: Api) -> list[str]:
    out = [f"## {operation.name}", "", operation.doc]
    if operation.spec:
        out[-1] += f" ([specification]({spec_url(operation.spec)}))"
    out += ["", *_calls(operation, api)]
    out += _table("Argument", operation.args, api)
    out += _table("Option", operation.options, api, is_option=True)
    out += _table("Result", operation.result, api)
    out += _table("Progress", operation.progress, api)
    if operation.errors:
        codes = ", ".join(_error_link(code) for code in operation.errors)
        out += ["", f"Errors: {codes}."]
    return [*out, "", f"Since {operation.since}."]


def _calls(operation: Operation, api: Api) -> list[str]:
    """A call in each language, as one might write it."""
    return [
        "```c",
        *examples.c_lines(operation, api),
        "```",
        "```lua",
        examples.lua_line(operation, api),
        "```",
        "```fennel",
        examples.fennel_line(operation, api),
        "```",
    ]


def _table(head: str, fields: tuple[Field, ...], api: Api, *, is_option: bool = False) -> list[str]:
    if not fields:
        return []
    if is_option:
        out = ["", f"| {head} | Type | Default | |", "|---|---|---|---|"]
    else:
        out = ["", f"| {head} | Type | |", "|---|---|---|"]
    for field in fields:
        cells = [f"`{field.name}`", _type(field, api)]
        if is_option:
            cells.append(_default(field))
        cells.append(_about(field, is_option=is_option))
        out.append(f"| {' | '.join(cells)} |")
    return out


def _type(field: Field, api: Api) -> str:
    kind = field.type.item or field.type
    text = str(kind)
    if kind.kind is Kind.ENUM:
        text = " ".join(f'`"{value}"`' for value in api.enums[kind.name].values)
    elif kind.kind is Kind.RECORD:
        text = f"[{kind}](records.gen.md#{kind.name})"
    return f"list of {text}" if field.type.item else text


def _default(field: Field) -> str:
    if field.required:
        return "*required*"
    return "" if field.default is None else f"`{default_text(field)}`"


def _about(field: Field, *, is_option: bool) -> str:
    text = field.doc.replace("|", "\\|")
    if limits := range_text(field):
        text += f"; {limits}"
    if field.secret:
        text += "; *secret*"
    if not is_option and not field.required:
        text += "; may be absent"
    return text


def _error_link(code: str) -> str:
    return f"[`{code}`](errors.gen.md)" if code.startswith("E_") else f"`{code}`"


def _options(api: Api) -> str:
    out = [BANNER, "# Options", "", "[Reference](index.gen.md)"]
    made = {"context": "Context options", "client": "Client options"}
    for options in api.settings:
        out += ["", f"## {made[options.name]}", "", options.doc]
        out += _table("Option", options.fields, api, is_option=True)
    return lines(out)


def _events(api: Api) -> str:
    out = [BANNER, "# Events", "", "[Reference](index.gen.md)"]
    for event in api.events:
        out += ["", *_event(event, api)]
    return lines(out)


def _event(event: Event, api: Api) -> list[str]:
    payload = f"[{event.payload}](records.gen.md#{event.payload})"
    return [
        f"## {event.name}",
        "",
        f"{event.doc} Gives {payload}.",
        "",
        "```c",
        f'matrix_subscribe(client, "{event.name}", filter, callback, user_data, &subscription);',
        "```",
        "```lua",
        f'client:subscribe("{event.name}", filter, callback)',
        "```",
        "```fennel",
        f"(client:subscribe :{kebab(event.name)} filter callback)",
        "```",
        *_table("Filter", event.filter, api, is_option=True),
        "",
        f"Since {event.since}.",
    ]


def _records(api: Api) -> str:
    out = [BANNER, "# Records and enums", "", "[Reference](index.gen.md)", ""]
    out += [
        "In C each record is also a struct, `matrix_<name>`: `matrix_reply_as_<name>(reply, value)`"
        " reads it from a map inside a reply. For an event that is the whole payload, for a result"
        " the field that holds the record:",
        "",
        "```c",
        "const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));",
        'const matrix_value *field = matrix_value_get(matrix_reply_value(reply), "room");',
        "const matrix_room *room = matrix_reply_as_room(reply, field);",
        "```",
        "",
        "It is NULL when there is no such map, and lives as long as the reply. Strings that may be"
        " absent are NULL then; such numbers and bools have a `has_` member beside them, and such"
        " enums are 0.",
    ]
    for record in api.records.values():
        out += ["", *_record(record, api)]
    out += ["", "## Enums"]
    for enumeration in api.enums.values():
        out += ["", *_enumeration(enumeration)]
    return lines(out)


def _record(record: Record, api: Api) -> list[str]:
    return [f"## {record.name}", "", record.doc, *_table("Field", record.fields, api)]


def _enumeration(enumeration: Enumeration) -> list[str]:
    prefix = f"MATRIX_{enumeration.name.upper()}_"
    out = [f"### {enumeration.name}", "", enumeration.doc, "", "| Value | C |", "|---|---|"]
    return out + [f'| `"{value}"` | `{prefix}{value.upper()}` |' for value in enumeration.values]


def _errors(api: Api) -> str:
    out = [BANNER, "# Error codes", "", "[Reference](index.gen.md)", ""]
    out += ["The homeserver's own codes (`M_…`) travel as they are, in C with the status"]
    out += ["`MATRIX_E_HOMESERVER`; these are libmatrix's own. In C they are `MATRIX_E_…`.", ""]
    out += ["| Code | Number in C | Meaning |", "|---|---|---|"]
    for error in api.errors.values():
        out.append(f"| `{error.name}` | {error.status} | {error.doc} |")
    return lines(out)
