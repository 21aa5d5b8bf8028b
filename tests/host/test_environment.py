"""What the environment may do when the host says `use_environment`."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_environment_counts_when_asked(run_host: Run) -> None:
    """The request goes to the proxy that the environment names; the homeserver does not exist."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def serve() -> None:
            connection, _ = proxy.accept()
            with connection:
                seen.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 418 No\r\nContent-Length: 2\r\n\r\n{}")

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        run_host(
            "environment_counts_when_asked",
            "http://homeserver.invalid",
            env={"http_proxy": url, "no_proxy": "", "NO_PROXY": ""},
        )
    assert b"homeserver.invalid" in seen[0]
