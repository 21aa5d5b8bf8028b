"""The core as the runtime sees it: `NativeBridge` in native.py, and doubles in tests."""

from __future__ import annotations

from typing import Protocol


class Bridge(Protocol):
    """What ffi/bridge/bridge.h offers, in Python. Nothing here blocks."""

    request_fd: int

    def take(self) -> bytes:
        """All waiting messages as one JSON list; empty when there are none."""

    def post(self, frames: bytes) -> bool:
        """Hands frames to their contexts; True when an event went to a context above its limit."""

    def is_full(self, context: int) -> bool:
        """Whether the context is above its event limit; if so, "drained" follows once."""

    def is_tame(self, text: bytes) -> bool:
        """Whether JSON text is surely within the limits of events; False leaves it open."""

    def ready(self) -> None:
        """The runtime takes messages from now on."""

    def stopping(self) -> bool:
        """Whether the process is exiting."""
