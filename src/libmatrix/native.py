"""The core through cffi: how the runtime starts in a host's process. bridge.so calls `run`.

`matrix_bridge_run` is entered once, on the runtime thread, and left when the process exits. It
returns 1; cffi returns 0 for it when Python could not even get here.
"""

from __future__ import annotations

import atexit
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from libmatrix import output
from libmatrix.http import late_ssl

_STOPPED = 1
# What the core waits for the stores at exit; a Python host gives as much.
_LAST_SECONDS = 0.5


class NativeBridge:
    """The functions of ffi/bridge/calls.h."""

    def __init__(self, ffi: Any, lib: Any) -> None:
        self.request_fd = int(lib.matrix_bridge_request_fd())
        self._take = lib.matrix_bridge_take
        self._post = lib.matrix_bridge_post
        self._buffer = ffi.buffer
        self._json = ffi.new("const char **")
        self._lib = lib

    def take(self) -> bytes:
        """All waiting messages as one JSON list; empty when there are none."""
        size = self._take(self._json)
        if not size:
            return b""
        taken: bytes = self._buffer(self._json[0], size)[:]
        return taken

    def post(self, frames: bytes) -> bool:
        """Hands frames to their contexts; True when an event went to a context above its limit."""
        return bool(self._post(frames, len(frames)))

    def is_full(self, context: int) -> bool:
        """Whether the context is above its event limit; if so, "drained" follows once."""
        return bool(self._lib.matrix_bridge_is_full(context))

    def is_tame(self, text: bytes) -> bool:
        """Whether JSON text is surely within the limits of events; False leaves it open."""
        return bool(self._lib.matrix_bridge_is_tame(text, len(text)))

    def ready(self) -> None:
        """The runtime takes messages from now on."""
        self._lib.matrix_bridge_ready()

    def prepare_openssl(self) -> None:
        """Keeps OpenSSL from having an exit handler of its own."""
        self._lib.matrix_bridge_prepare_openssl()

    def failed(self, code: str, message: str) -> None:
        """The runtime cannot go on: every open request ends with this error."""
        self._lib.matrix_bridge_failed(code.encode(), message.encode())

    def stopping(self) -> bool:
        """Whether the process is exiting."""
        return bool(self._lib.matrix_bridge_stopping())


def bind(ffi: Any, lib: Any) -> None:
    """Gives bridge.so its one way into Python; called while cffi starts the module."""

    @ffi.def_extern(name="matrix_bridge_run", error=0)  # type: ignore[untyped-decorator]
    def matrix_bridge_run(hosted: int) -> int:
        bridge = NativeBridge(ffi, lib)
        try:
            _run(bridge, bool(hosted))
        except BaseException as error:
            bridge.failed("E_PYTHON", f"the runtime died: {_describe(error)}")
        return _STOPPED


def _describe(error: BaseException) -> str:
    """A failed import tells what could not be loaded; anything else only where it was."""
    if isinstance(error, ImportError):
        return str(error)
    from libmatrix.errors import places

    return places(error)


def _run(bridge: NativeBridge, hosted: bool) -> None:
    if not hosted:
        late_ssl.install(bridge.prepare_openssl)
    from libmatrix.runtime import Runtime

    runtime = Runtime(bridge)
    if hosted:
        with _stopped_before_python(runtime.stop_soon):
            runtime.run()
        return
    # Few cycles are made here, and large syncs make many objects: looking for cycles less often
    # saves a tenth of a large sync. What is imported by now stays.
    gc.set_threshold(10_000, 20, 20)
    gc.freeze()
    output.send_to(lambda line: runtime.log("warning", "python", line))
    runtime.run()


@contextmanager
def _stopped_before_python(stop: Callable[[], None]) -> Iterator[None]:
    """When the host is Python: its interpreter must not end while we are in it."""
    has_ended = threading.Event()

    def stop_and_wait() -> None:
        stop()
        has_ended.wait(_LAST_SECONDS)

    atexit.register(stop_and_wait)
    try:
        yield
    finally:
        atexit.unregister(stop_and_wait)
        has_ended.set()
