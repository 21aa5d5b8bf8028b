"""The generator refuses a wrong list, and says where it is wrong."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from ffi.gen import names
from ffi.gen.__main__ import read_list
from ffi.gen.model import ApiError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's own list and header, to be changed."""
    shutil.copytree(ROOT / "ffi/api", tmp_path / "ffi/api")
    shutil.copytree(ROOT / "ffi/include", tmp_path / "ffi/include")
    return tmp_path


def append(project: Path, file: str, text: str) -> None:
    path = project / "ffi/api" / file
    path.write_text((path.read_text("utf-8") if path.exists() else "") + text, "utf-8")


def operation(more: str = "", name: str = "probe") -> str:
    return f'\n[{name}]\nsince = "0.1"\ndoc = "Probes."\n{more}\n'


def argument(text: str) -> str:
    return operation(f'args = [{{ doc = "a thing", {text} }}]')


def option(text: str) -> str:
    return operation(f'options = [{{ doc = "a thing", {text} }}]')


def result(text: str) -> str:
    return operation(f'result = [{{ doc = "a thing", {text} }}]')


HOLDER = """
[inner_holder]
doc = "Holds json."
fields = [{ name = "held", type = "json", optional = true, doc = "anything" }]

[holder]
doc = "Holds what holds json."
fields = [{ name = "inner", type = "inner_holder", doc = "the holder" }]
"""

REFUSED_OPERATIONS = {
    "broken TOML": ("[probe", "rooms.toml: "),
    "no since": ('[probe]\ndoc = "Probes."', "'since' is missing"),
    "odd since": ('[probe]\nsince = "next"\ndoc = "Probes."', "'since' must be a version"),
    "since is a number": ('[probe]\nsince = 0.1\ndoc = "P."', "'since' must be a string"),
    "no doc": ('[probe]\nsince = "0.1"', "'doc' is missing"),
    "empty doc": ('[probe]\nsince = "0.1"\ndoc = " "', "'doc' must be one line"),
    "doc of two lines": ('[probe]\nsince = "0.1"\ndoc = "a\\nb"', "'doc' must be one line"),
    "doc ends a comment": ('[probe]\nsince = "0.1"\ndoc = "a */ b"', "'doc' must not hold"),
    "no table": ('probe = "x"\n', "probe: is no table"),
    "unknown key": (operation("arguments = []"), "probe: unknown key 'arguments'"),
    "args is no list": (operation("args = 1"), "'args' must be a list of tables"),
    "argument is no table": (operation("args = [1]"), "args[1]: is no table"),
    "unknown key of a field": (
        argument('name = "x", type = "int", least = 1'),
        "probe.args[1] x: unknown key 'least'",
    ),
    "argument with a default": (
        argument('name = "x", type = "int", default = 1'),
        "unknown key 'default'",
    ),
    "optional argument": (
        argument('name = "x", type = "int", optional = true'),
        "unknown key 'optional'",
    ),
    "required option": (
        option('name = "x", type = "int", required = true'),
        "unknown key 'required'",
    ),
    "result with a default": (result('name = "x", type = "int", default = 1'), "unknown key"),
    "optional is no bool": (
        result('name = "x", type = "int", optional = 1'),
        "'optional' must be true or false",
    ),
    "unknown type": (argument('name = "x", type = "integer"'), "unknown type 'integer'"),
    "unknown item type": (argument('name = "x", type = "list<x>"'), "unknown type 'list<x>'"),
    "list of lists": (argument('name = "x", type = "list<list<int>>"'), "unknown type"),
    "no type": (argument('name = "x"'), "'type' is missing"),
    "no name": (argument('type = "int"'), "args[1]: 'name' is missing"),
    "bool for an int": (option('name = "x", type = "int", default = true'), "must be of type int"),
    "int for a bool": (option('name = "x", type = "bool", default = 1'), "must be of type bool"),
    "int for a double": (
        option('name = "x", type = "double", default = 1'),
        "must be of type float",
    ),
    "int for a string": (option('name = "x", type = "string", default = 1'), "must be of type str"),
    "infinite default": (option('name = "x", type = "double", default = inf'), "finite"),
    "default of a list": (option('name = "x", type = "list<int>", default = []'), "no default"),
    "default of json": (option('name = "x", type = "json", default = 1'), "no default"),
    "default no enum value": (
        option('name = "x", type = "presence", default = "away"'),
        "'away' is no value of presence",
    ),
    "range of a string": (option('name = "x", type = "string", min = 1'), "only integers"),
    "range of a result": (result('name = "x", type = "int", min = 1'), "only integers"),
    "range of nothing": (option('name = "x", type = "int", min = 2, max = 1'), "leave nothing"),
    "range beyond int64": (
        option('name = "x", type = "int", max = 9223372036854775808'),
        "64 bits",
    ),
    "range of text": (option('name = "x", type = "int", min = "1"'), "'min' must be an integer"),
    "default out of range": (
        option('name = "x", type = "int", default = 0, min = 1'),
        "the default is not within",
    ),
    "default beyond int64": (
        option('name = "x", type = "int", default = 9223372036854775808'),
        "64 bits",
    ),
    "capitals": (operation(name="Probe"), "is not snake_case"),
    "hyphen": (operation(name="probe-it"), "is not snake_case"),
    "two underscores": (operation(name="probe__it"), "is not snake_case"),
    "digit first": (operation(name="2probe"), "is not snake_case"),
    "keyword of C": (argument('name = "register", type = "int"'), "keyword of C"),
    "keyword of C++": (argument('name = "template", type = "int"'), "keyword of C++"),
    "keyword of Lua": (argument('name = "end", type = "int"'), "keyword of Lua"),
    "keyword of Lua 5.5": (operation(name="global"), "keyword of Lua"),
    "keyword of Python": (argument('name = "lambda", type = "int"'), "keyword of Python"),
    "macro": (argument('name = "linux", type = "int"'), "is a macro"),
    "type of Python": (argument('name = "list", type = "int"'), "hides a type"),
    "parameter": (argument('name = "user_data", type = "int"'), "parameter many functions have"),
    "payload key": (result('name = "ok", type = "bool"'), "taken in Lua's payload"),
    "same argument twice": (
        operation(
            'args = [{ name = "x", type = "int", doc = "x" }, '
            '{ name = "x", type = "int", doc = "x" }]'
        ),
        "two fields have the name 'x'",
    ),
    "argument and option": (
        operation(
            'args = [{ name = "x", type = "int", doc = "x" }]\n'
            'options = [{ name = "x", type = "int", doc = "x" }]'
        ),
        "two fields have the name 'x'",
    ),
    "size beside bytes": (
        operation(
            'args = [{ name = "x", type = "bytes", doc = "x" }, '
            '{ name = "x_size", type = "int", doc = "x" }]'
        ),
        "'x_size' is what C may need",
    ),
    "record with optional json": (
        argument('name = "x", type = "list<holder>"'),
        "record inner_holder has optional json",
    ),
    "unknown error": (operation('errors = ["E_NONSENSE"]'), "unknown error code 'E_NONSENSE'"),
    "odd error": (operation('errors = ["m_forbidden"]'), "unknown error code 'm_forbidden'"),
    "error twice": (operation('errors = ["M_FORBIDDEN", "M_FORBIDDEN"]'), "twice"),
    "odd spec": (operation('spec = "https://x"'), "'spec' must be a page and a section"),
    "function of matrix.h": (operation(name="cancel"), "matrix_cancel is taken by matrix.h"),
    "type of matrix.h": (operation(name="version_info"), "is taken by matrix.h"),
    "method of Lua": (operation(name="close"), "taken by the methods of a client in Lua"),
    "name of a record": (operation(name="room"), "taken by records.toml: room"),
    "operation of two areas": (operation(name="whoami"), "is taken by"),
    "text of an enum": (operation(name="presence_string"), "taken by enums.toml: presence"),
}


@pytest.mark.parametrize("case", REFUSED_OPERATIONS)
def test_wrong_operation_is_refused(project: Path, case: str) -> None:
    text, message = REFUSED_OPERATIONS[case]
    if text.startswith("probe ="):
        path = project / "ffi/api/rooms.toml"
        path.write_text(text + path.read_text("utf-8"), "utf-8")
    else:
        append(project, "records.toml", HOLDER)
        append(project, "rooms.toml", text)
    with pytest.raises(ApiError) as refused:
        read_list(project)
    assert message in str(refused.value)
    assert ".toml" in str(refused.value)


REFUSED_OTHERS = {
    "enum without values": ("enums.toml", '[x]\ndoc = "X."\nvalues = []', "'values' is empty"),
    "enum value twice": ("enums.toml", '[x]\ndoc = "X."\nvalues = ["a", "a"]', "'a' twice"),
    "enum value odd": ("enums.toml", '[x]\ndoc = "X."\nvalues = ["A"]', "not snake_case"),
    "enum value no text": ("enums.toml", '[x]\ndoc = "X."\nvalues = [1]', "list of strings"),
    "enum value unknown": ("enums.toml", '[x]\ndoc = "X."\nvalues = ["unknown"]', "is taken"),
    "enum unknown key": ("enums.toml", '[x]\ndoc = "X."\nvalues = ["a"]\nx = 1', "key 'x'"),
    "enum named as a C type": (
        "enums.toml",
        '[client]\ndoc = "X."\nvalues = ["a"]',
        "matrix_client is taken by matrix.h",
    ),
    "enum named as a class": (
        "enums.toml",
        '[raw]\ndoc = "X."\nvalues = ["a"]',
        "class Raw is taken",
    ),
    "error lower case": ("errors.toml", '[e_x]\nstatus = -99\ndoc = "X."', "E_ and capitals"),
    "error status used": ("errors.toml", '[E_X]\nstatus = -1\ndoc = "X."', "E_INVALID_ARGUMENT"),
    "error status skips": ("errors.toml", '[E_X]\nstatus = -999\ndoc = "X."', "one by one"),
    "error status positive": ("errors.toml", '[E_X]\nstatus = 1\ndoc = "X."', "one by one"),
    "error status text": ("errors.toml", '[E_X]\nstatus = "1"\ndoc = "X."', "an integer"),
    "error without doc": ("errors.toml", "[E_X]\nstatus = -999", "'doc' is missing"),
    "record without fields": ("records.toml", '[x]\ndoc = "X."', "'fields' is empty"),
    "record of a later one": (
        "records.toml",
        '[x]\ndoc = "X."\nfields = [{ name = "y", type = "y", doc = "y" }]\n'
        '[y]\ndoc = "Y."\nfields = [{ name = "z", type = "int", doc = "z" }]',
        "unknown type 'y'",
    ),
    "record with its own flag": (
        "records.toml",
        '[x]\ndoc = "X."\nfields = [{ name = "y", type = "int", optional = true, doc = "y" }, '
        '{ name = "has_y", type = "bool", doc = "y" }]',
        "'has_y' is what C may need",
    ),
    "event without payload": ("events.toml", '[x]\nsince = "0.1"\ndoc = "X."', "'payload' is"),
    "event of no record": (
        "events.toml",
        '[x]\nsince = "0.1"\ndoc = "X."\npayload = "y"',
        "the payload 'y' is no record",
    ),
    "example of nothing": ("examples.toml", "[x]", "there is no such operation"),
    "example with an option too many": ("examples.toml", "[whoami]\nx = 1", "unknown key 'x'"),
    "options of nothing": ("options.toml", '[x]\ndoc = "X."', "context and client"),
    "required with default": (
        "options.toml",
        '\n[x]\ndoc = "X."\noptions = [{ name = "y", type = "int", required = true, '
        'default = 1, doc = "y" }]',
        "what is required has no default",
    ),
    "area named oddly": ("My-Area.toml", operation(), "My-Area.toml: the file's name"),
}


@pytest.mark.parametrize("case", REFUSED_OTHERS)
def test_wrong_entry_is_refused(project: Path, case: str) -> None:
    file, text, message = REFUSED_OTHERS[case]
    append(project, file, "\n" + text + "\n")
    with pytest.raises(ApiError) as refused:
        read_list(project)
    assert message in str(refused.value)
    assert str(refused.value).startswith(file)


@pytest.mark.parametrize("file", ["enums", "errors", "events", "examples", "options", "records"])
def test_missing_file_is_refused(project: Path, file: str) -> None:
    (project / f"ffi/api/{file}.toml").unlink()
    with pytest.raises(ApiError, match=rf"{file}\.toml: is missing"):
        read_list(project)


def test_methods_of_a_client_in_lua_are_known() -> None:
    text = (ROOT / "lua/client.lua").read_text("utf-8")
    methods = set(re.findall(r"\bmethods\.(\w+) =|^function methods\.(\w+)", text, re.MULTILINE))
    written = {first or second for first, second in methods}
    assert written <= names.CLIENT_METHODS
    assert "subscribe" in written


def test_names_of_the_header_are_known() -> None:
    taken = names.taken(ROOT / "ffi/include/matrix")
    wanted = {"init", "context", "map", "callback", "value_get_int", "set_wakeup_callback", "fd"}
    assert wanted <= taken
    assert "error" not in taken
    assert "send_text" not in taken
