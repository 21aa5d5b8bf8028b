"""A host that is Python with Lua inside: `lupa_host.py RUNTIME SPEC…`, with LUA_CPATH set."""

from __future__ import annotations

import ctypes
import importlib
import select
import sys
import threading
from pathlib import Path
from typing import Any

import lupa

HERE = Path(__file__).parent

PINGS = """
local label = ...
local matrix = require "matrix"
local client = matrix.create_client { homeserver = "http://127.0.0.1:9" }
return matrix.run(function()
  local sum = 0
  for index = 1, 100 do
    local payload = matrix.check(client:ping { payload = { label, index } }).payload
    assert(payload[1] == label)
    sum = sum + payload[2]
  end
  return sum
end)
"""


def load(name: str) -> Any:
    """The runtime's module, its Lua visible to C modules."""
    with lupa.allow_lua_module_loading():
        return importlib.import_module(f"lupa.{name}")


def run_specs(runtime: Any, specs: list[str]) -> int:
    """How many tests of these specs failed, each in a state of its own."""
    failed = 0
    source = (HERE / "run.lua").read_text()
    for spec in specs:
        lua = runtime.LuaRuntime(unpack_returned_tuples=True)
        run = lua.eval("function(text) return assert((loadstring or load)(text, '@run.lua')) end")
        failed += run(source)(str(HERE / "spec" / f"{spec}.lua"), "embedded")
    return failed


def run_threads(runtime: Any, count: int) -> None:
    """Side by side in threads, a state each; Python runs on meanwhile."""
    sums: list[int] = []

    def work(label: int) -> None:
        lua = runtime.LuaRuntime()
        load_text = lua.eval("function(text) return assert((loadstring or load)(text)) end")
        sums.append(load_text(PINGS)(label))

    threads = [threading.Thread(target=work, args=(label,)) for label in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums == [5050] * count, sums


def poll(runtime: Any) -> None:
    """The descriptor is readable while something is due, and only then."""
    lua = runtime.LuaRuntime()
    lua.execute("matrix, answers = require('matrix'), 0")
    lua.execute("client = matrix.create_client { homeserver = 'http://127.0.0.1:9' }")
    fd = lua.eval("matrix.pollfd()")
    assert lua.eval("client:pollfd()") == fd
    for expected in range(1, 4):
        lua.execute("client:ping(function() answers = answers + 1 end)")
        assert select.select([fd], [], [], 10)[0] == [fd]
        while lua.eval("answers") < expected:
            lua.execute("matrix.dispatch()")
        assert select.select([fd], [], [], 0)[0] == []


def main() -> None:
    """Runs everything in this process."""
    runtime = load(sys.argv[1])
    poll(runtime)
    run_threads(runtime, 3)
    failed = run_specs(runtime, sys.argv[2:])
    # Lua prints through the C library, whose buffer would otherwise follow Python's.
    ctypes.CDLL(None).fflush(None)
    print(f"lupa: {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
