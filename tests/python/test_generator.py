"""What the generator makes is up to date, compiles and loads, with every type in every place."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from ffi.gen import reference
from ffi.gen.__main__ import main, read_list
from ffi.gen.model import Kind
from ffi.gen.outputs import differences, outputs, write

ROOT = Path(__file__).resolve().parents[2]
WARNINGS = ("-Wall", "-Wextra", "-pedantic", "-Werror")

# One operation, event and record with every type in every place it may be in.
EVERYTHING = {
    "records.toml": """
[probe_item]
doc = "An item."
fields = [
    { name = "flag", type = "bool", optional = true, doc = "a flag" },
    { name = "count", type = "int", optional = true, doc = "a count" },
    { name = "ratio", type = "double", optional = true, doc = "a ratio" },
    { name = "label", type = "string", optional = true, doc = "a label" },
    { name = "data", type = "bytes", optional = true, doc = "data" },
    { name = "anything", type = "json", doc = "anything" },
    { name = "membership", type = "membership", optional = true, doc = "an enum" },
    { name = "cause", type = "error", optional = true, doc = "a record" },
    { name = "levels", type = "list<log_level>", optional = true, doc = "enums" },
]
""",
    "events.toml": """
[probe_happened]
since = "0.1"
doc = "A probe happened."
payload = "probe_item"
filter = [{ name = "level", type = "log_level", default = "info", doc = "the level" }]
""",
    "probes.toml": """
[probe]
since = "0.1"
doc = "Probes."
args = [
    { name = "flag", type = "bool", doc = "a flag" },
    { name = "count", type = "int", doc = "a count" },
    { name = "ratio", type = "double", doc = "a ratio" },
    { name = "label", type = "string", secret = true, doc = "a label" },
    { name = "data", type = "bytes", doc = "data" },
    { name = "anything", type = "json", doc = "anything" },
    { name = "level", type = "log_level", doc = "an enum" },
    { name = "item", type = "probe_item", doc = "a record" },
    { name = "items", type = "list<probe_item>", doc = "records" },
]
options = [
    { name = "wanted", type = "bool", default = true, doc = "a flag" },
    { name = "limit", type = "int", default = -5, doc = "a count" },
    { name = "factor", type = "double", default = 1.5, doc = "a ratio" },
    { name = "comment", type = "string", default = "a \\u0022 quote", doc = "a label" },
    { name = "blob", type = "bytes", doc = "data" },
    { name = "extra", type = "json", doc = "anything" },
    { name = "presence", type = "presence", default = "offline", doc = "an enum" },
    { name = "other", type = "probe_item", doc = "a record" },
    { name = "levels", type = "list<log_level>", doc = "enums" },
    { name = "things", type = "list<json>", doc = "anything" },
]
result = [
    { name = "items", type = "list<probe_item>", doc = "records" },
    { name = "token", type = "string", optional = true, secret = true, doc = "a secret" },
    { name = "more", type = "json", optional = true, doc = "anything" },
]
progress = [{ name = "done", type = "int", doc = "how far" }]
errors = ["M_FORBIDDEN", "E_TIMEOUT"]
""",
}


def copy_list(target: Path) -> Path:
    """The project's own list and headers, to be changed."""
    shutil.copytree(ROOT / "ffi/api", target / "ffi/api")
    shutil.copytree(
        ROOT / "ffi/include", target / "ffi/include", ignore=shutil.ignore_patterns("*.gen.h")
    )
    return target


def append(project: Path, file: str, text: str) -> None:
    path = project / "ffi/api" / file
    path.write_text((path.read_text("utf-8") if path.exists() else "") + text, "utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_list(tmp_path)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose list has every type, generated."""
    made = copy_list(tmp_path_factory.mktemp("everything"))
    for file, text in EVERYTHING.items():
        append(made, file, text)
    write(made, outputs(read_list(made)))
    for header in (ROOT / "ffi/core").glob("*.h"):
        if ".gen." not in header.name:
            shutil.copy(header, made / "ffi/core")
    return made


# ---- the committed outputs --------------------------------------------------------------------


def test_outputs_are_up_to_date() -> None:
    assert differences(ROOT, outputs(read_list(ROOT))) == []


def test_every_operation_has_handler_test_and_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lint"]) == 0, capsys.readouterr().err


def test_c_outputs_are_formatted() -> None:
    files = [path for path in outputs(read_list(ROOT)) if path.endswith((".c", ".h"))]
    tool = shutil.which("clang-format", path=str(Path(sys.executable).parent)) or "clang-format"
    subprocess.run([tool, "--dry-run", "-Werror", *files], cwd=ROOT, check=True)


# ---- the command ------------------------------------------------------------------------------


def test_check_lists_what_differs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--root", str(project)]
    assert main(arguments) == 0
    assert "lua/operations.gen.lua" in capsys.readouterr().out.splitlines()
    assert main([*arguments, "--check"]) == 0
    append(project, "rooms.toml", '[probe]\nsince = "0.1"\ndoc = "Probes."\n')
    left_over = project / "docs/reference/old.gen.md"
    left_over.write_text("old", "utf-8")
    capsys.readouterr()
    assert main([*arguments, "--check"]) == 1
    wrong = [line.split(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert {
        "docs/reference/old.gen.md",
        "docs/reference/rooms.gen.md",
        "ffi/core/operations.gen.c",
        "ffi/core/tables.gen.c",
        "ffi/include/matrix/operations.gen.h",
        "lua/operations.gen.lua",
        "src/libmatrix/table_gen.py",
    } <= set(wrong)
    assert "ffi/include/matrix/status.gen.h" not in wrong
    assert main(arguments) == 0
    assert not left_over.exists()
    assert main([*arguments, "--check"]) == 0


def test_a_wrong_list_changes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append(project, "rooms.toml", '[probe]\nsince = "0.1"\n')
    assert main(["--root", str(project)]) == 1
    assert capsys.readouterr().err == "ffi/api/rooms.toml: probe: 'doc' is missing\n"
    assert not (project / "lua").exists()


def test_runs_as_a_module() -> None:
    subprocess.run([sys.executable, "-m", "ffi.gen", "--check"], cwd=ROOT, check=True)


# ---- what every type becomes ------------------------------------------------------------------


def test_everything_compiles_as_c(everything: Path) -> None:
    include = ["-Iffi/include", "-Iffi/core"]
    for source in ("tables", "operations", "records"):
        command = ["cc", "-std=c11", *WARNINGS, *include, "-c", f"ffi/core/{source}.gen.c"]
        subprocess.run([*command, "-o", f"{source}.o"], cwd=everything, check=True)
    header = ["ffi/include/matrix/matrix.h", *include, "-fsyntax-only"]
    subprocess.run(
        ["c++", "-x", "c++", "-std=c++17", *WARNINGS, *header], cwd=everything, check=True
    )


def test_c_signature_has_every_type(everything: Path) -> None:
    text = (everything / "ffi/include/matrix/operations.gen.h").read_text("utf-8")
    start = text.index("matrix_probe(")
    signature = " ".join(text[start : text.index(";", start)].split())
    assert signature == (
        "matrix_probe(matrix_client client, bool flag, int64_t count, double ratio, "
        "const char *label, const void *data, size_t data_size, const char *anything, "
        "matrix_log_level level, const matrix_map *item, const char *items, "
        "matrix_map *options, matrix_callback callback, void *user_data, "
        "matrix_request *request)"
    )


def load_table(project: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("table", project / "src/libmatrix/table_gen.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["table"] = module  # msgspec looks annotations up there
    spec.loader.exec_module(module)
    return module


REQUIRED = (
    b'{"flag":true,"count":1,"ratio":2,"label":"hidden","data":"aGk=","anything":[null],'
    b'"level":"info","item":{"anything":{}},"items":[{"anything":[2],"count":3}]'
)


def test_python_structs_decode_every_type(everything: Path) -> None:
    table = load_table(everything)
    spec = table.OPERATIONS["probe"]
    assert (spec.area, spec.progress) == ("probes", table.ProbeProgress)
    assert spec.secrets == {"label"}
    arguments = msgspec.json.decode(REQUIRED + b"}", type=spec.arguments)
    assert (arguments.data, bytes(arguments.anything)) == (b"hi", b"[null]")
    assert arguments.items[0].count == 3
    assert (arguments.wanted, arguments.limit, arguments.factor) == (True, -5, 1.5)
    assert (arguments.comment, arguments.presence) == ('a " quote', "offline")
    assert not arguments.extra
    assert bytes(arguments.items[0].anything) == b"[2]"
    things = msgspec.json.decode(REQUIRED + b',"things":[1,{}]}', type=spec.arguments).things
    assert [bytes(each) for each in things] == [b"1", b"{}"]
    assert arguments.other is None
    assert "hidden" not in repr(arguments)
    assert "'***'" not in repr(arguments)
    assert "label=***" in repr(arguments)
    for wrong in (b',"more":1}', b',"level":"loud"}', b',"limit":"1"}', b',"levels":["loud"]}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(REQUIRED + wrong, type=spec.arguments)


def test_python_results_leave_out_what_is_absent(everything: Path) -> None:
    table = load_table(everything)
    item = table.ProbeItem(count=1, anything=msgspec.Raw(b'{"a":1}'), data=b"hi")
    made = table.ProbeResult(items=[item])
    expected = b'{"items":[{"anything":{"a":1},"count":1,"data":"aGk="}]}'
    assert sorted(msgspec.json.decode(msgspec.json.encode(made))["items"][0]) == [
        "anything",
        "count",
        "data",
    ]
    assert msgspec.json.encode(made) == expected
    # What a record must have comes first, so that it can be made by position.
    assert table.ProbeItem(msgspec.Raw(b'{"a":1}'), data=b"hi", count=1) == item
    assert "hidden" not in repr(table.ProbeResult(items=[], token="hidden"))


def test_lua_table_loads(everything: Path) -> None:
    check = (
        "local list = dofile('lua/operations.gen.lua')\n"
        "local probe = list.operations.probe\n"
        "assert(#probe.arguments == 9 and probe.arguments[4].secret)\n"
        "local items = probe.arguments[9]\n"
        "assert(items.type == 'list' and items.item == 'record')\n"
        "assert(items.record == 'probe_item')\n"
        "assert(list.errors.E_INVALID_ARGUMENT == -1)\n"
        "assert(list.events.probe_happened.filter[1].enum == 'log_level')\n"
    )
    lua = shutil.which("lua5.4") or shutil.which("lua") or shutil.which("luajit")
    assert lua, "a Lua interpreter is needed"
    subprocess.run([lua, "-e", check], cwd=everything, check=True)


def test_reference_describes_every_field(everything: Path) -> None:
    page = (everything / "docs/reference/probes.gen.md").read_text("utf-8")
    listed = next(each for each in read_list(everything).operations if each.name == "probe")
    for field in (*listed.inputs, *listed.result, *listed.progress):
        assert f"| `{field.name}` | " in page
    assert "(client:probe flag count ratio label data anything level item items callback)" in page
    assert '| `presence` | `"online"` `"unavailable"` `"offline"` | `"offline"` | an enum |' in page


def test_every_kind_of_type_is_tried(everything: Path) -> None:
    listed = next(each for each in read_list(everything).operations if each.name == "probe")
    assert {field.type.kind for field in listed.args} == set(Kind)
    assert {field.type.kind for field in listed.options} == set(Kind)


def test_titles() -> None:
    assert reference.title("room_state") == "Room state"


def test_lua_types_name_all_of_the_module() -> None:
    types = (ROOT / "lua/types/matrix.gen.lua").read_text("utf-8")
    module = (ROOT / "lua/module.lua").read_text("utf-8")
    table = module[module.index("local matrix = {") : module.index("\n}", module.index("{"))]
    written = set(re.findall(r"^  (\w+) = ", table, re.MULTILINE))
    written |= set(re.findall(r"^function matrix\.(\w+)", module, re.MULTILINE))
    declared = set(re.findall(r"^function matrix\.(\w+)", types, re.MULTILINE))
    declared |= set(re.findall(r"^---@field (\w+)", types, re.MULTILINE))
    assert "create_client" in written
    assert written <= declared
    for operation in read_list(ROOT).operations:
        assert f"\nfunction Client:{operation.name}(" in types


def test_lua_types_are_lua(everything: Path) -> None:
    text = (everything / "lua/types/matrix.gen.lua").read_text("utf-8")
    assert "---@field on_progress? fun(progress: matrix.ProbeProgress)" in text
    assert "---@param items matrix.ProbeItem[] records\n" in text
    subprocess.run(
        ["luac5.1" if shutil.which("luac5.1") else "luac", "-p", "lua/types/matrix.gen.lua"],
        cwd=everything,
        check=True,
    )


def test_areas_name_guides_that_exist() -> None:
    areas = {path.stem for path in (ROOT / "ffi" / "api").glob("*.toml")}
    assert set(reference.GUIDES) <= areas
    for area, guide in reference.GUIDES.items():
        assert (ROOT / "docs" / f"{guide}.md").exists()
        page = (ROOT / "docs" / "reference" / f"{area}.gen.md").read_text("utf-8")
        assert f"[Guide](../{guide}.md)" in page
