"""What matrix.h offers beyond its promises: values, progress, questions to the host, the wakeup."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_values_and_maps(run_host: Run) -> None:
    run_host("values_and_maps")


def test_progress_and_host_calls(run_host: Run) -> None:
    run_host("progress_and_host_calls")


def test_wakeup_tells_the_host(run_host: Run) -> None:
    run_host("wakeup_tells_the_host")
