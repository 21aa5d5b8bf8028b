"""Programs that run the reference's examples: one each in C, Lua and Fennel, made from the list."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ffi.gen import examples
from ffi.gen.model import Api, Kind, Operation
from ffi.gen.names import kebab


@dataclass(frozen=True)
class Example:
    """An operation's example, the client that it runs on, and its variables."""

    operation: Operation
    client: dict[str, str | bool]
    values: dict[str, str | int]
    is_cancelled: bool

    @property
    def name(self) -> str:
        return self.operation.name

    @property
    def client_json(self) -> str:
        return json.dumps(self.client)

    def put(self, text: str) -> str:
        """A line with this example's values for those that the reference has of nobody."""
        for shown, real in self.values.items():
            if not shown.isidentifier():
                text = text.replace(shown, str(real))
        return text


C_HEAD = r"""
#include <matrix/matrix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static matrix_context context;
static int done;

static void callback(const matrix_reply *reply, void *user_data) {
    const char *name = user_data;
    printf("%s %s\n", name, matrix_reply_ok(reply) ? "ok" : matrix_reply_error(reply)->code);
    done = 1;
}

static matrix_client open_client(const char *json, int syncs) {
    matrix_map *options = NULL;
    matrix_client client = {0};
    matrix_request request = {0};
    matrix_reply *reply = NULL;
    if (matrix_map_from_json(json, strlen(json), &options) < 0 ||
        matrix_create_client(context, options, &client) < 0)
        exit(2);
    matrix_map_free(options);
    if (syncs && (matrix_sync_once(client, NULL, NULL, NULL, &request) < 0 ||
                  matrix_wait(request, 60000, &reply) < 0 || !matrix_reply_ok(reply)))
        exit(3);
    matrix_reply_free(reply);
    return client;
}

static void finish(matrix_client client, matrix_map *options, const char *name) {
    if (!done && *matrix_map_error(options))
        printf("%s refused: %s\n", name, matrix_map_error(options));
    while (!done && !*matrix_map_error(options))
        if (matrix_dispatch(context, 60000, 0) <= 0)
            exit(4);
    done = 0;
    matrix_map_free(options);
    matrix_close_client(client);
}
"""


def c_program(made: list[Example], api: Api) -> str:
    """A function for each example, and a main that calls them in turn."""
    out = [C_HEAD]
    for example in made:
        out += ["", f"static void run_{example.name}(matrix_client client, void *user_data) {{"]
        for name in examples.variables(example.operation, api):
            value = example.values[name]
            kind = "int64_t " if isinstance(value, int) else "const char *"
            out.append(f"    {kind}{name} = {json.dumps(value)};")
        for field in example.operation.args:
            if field.type.kind is Kind.BYTES:
                out.append(f"    size_t {field.name}_size = strlen({field.name});")
        out += ["    matrix_map *options = matrix_map_new();", "    matrix_request request;"]
        out += [f"    {example.put(line)}" for line in examples.c_lines(example.operation, api)]
        if example.is_cancelled:
            out.append("    matrix_cancel(request);")
        out += ["    (void)request;", "    finish(client, options, user_data);", "}"]
    out += ["", "int main(void) {", "    if (matrix_init(NULL, &context) < 0)", "        return 1;"]
    for example in made:
        opened = f"open_client({json.dumps(example.client_json)}, {int(_syncs(example))})"
        out.append(f'    run_{example.name}({opened}, "{example.name}");')
    return "\n".join([*out, "    return matrix_shutdown(context, 10000) < 0;", "}", ""])


LUA_HEAD = """
local matrix = require "matrix"

local function run(name, options, syncs, cancels, example)
  local client = matrix.create_client(options)
  if syncs then
    matrix.run(function() matrix.check(client:sync_once()) end)
  end
  local outcome
  local request = example(client, function(payload)
    outcome = payload.ok and "ok" or payload.error.code
  end)
  if cancels then
    request:cancel()
  end
  while not outcome do
    assert(matrix.dispatch(60000) > 0, name)
  end
  print(name .. " " .. outcome)
  client:close()
end
"""


def lua_program(made: list[Example], api: Api) -> str:
    """A call of run() for each example."""
    out = [LUA_HEAD]
    for example in made:
        out += ["", f"do -- {example.name}"]
        for name in examples.variables(example.operation, api):
            out.append(f"  local {name} = {json.dumps(example.values[name])}")
        flags = f"{_lua_bool(_syncs(example))}, {_lua_bool(example.is_cancelled)}"
        out.append(
            f'  run("{example.name}", {_table(example)}, {flags}, function(client, callback)'
        )
        line = example.put(examples.lua_line(example.operation, api))
        out += [f"    return {line}", "  end)", "end"]
    return "\n".join([*out, ""])


FENNEL_HEAD = """
(local matrix (require :matrix))

(fn run [name options syncs cancels example]
  (let [client (matrix.create-client options)]
    (when syncs
      (matrix.run #(matrix.check (client:sync-once))))
    (var outcome nil)
    (let [request (example client #(set outcome (if $.ok :ok $.error.code)))]
      (when cancels (request:cancel))
      (while (not outcome)
        (assert (> (matrix.dispatch 60000) 0) name))
      (print (.. name " " outcome))
      (client:close))))
"""


def fennel_program(made: list[Example], api: Api) -> str:
    """A call of run for each example."""
    out = [FENNEL_HEAD]
    for example in made:
        names = examples.variables(example.operation, api)
        bound = " ".join(f"{kebab(name)} {json.dumps(example.values[name])}" for name in names)
        table = " ".join(f":{key} {json.dumps(value)}" for key, value in example.client.items())
        flags = f"{_lua_bool(_syncs(example))} {_lua_bool(example.is_cancelled)}"
        line = example.put(examples.fennel_line(example.operation, api))
        out += ["", f"(let [{bound}]", f"  (run :{example.name} {{{table}}} {flags}"]
        out += [f"    (fn [client callback] {line})))"]
    return "\n".join([*out, ""])


def _syncs(example: Example) -> bool:
    return "access_token" in example.client


def _lua_bool(value: bool) -> str:
    return "true" if value else "false"


def _table(example: Example) -> str:
    fields = (f"{key} = {json.dumps(value)}" for key, value in example.client.items())
    return f"{{ {', '.join(fields)} }}"
