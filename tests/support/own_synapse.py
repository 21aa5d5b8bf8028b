"""A Synapse of a test's own, with settings of its own, to be killed and started again."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.support import client, synapse
from tests.support.homeserver import Homeserver

_SECONDS = 90


class OwnSynapse:
    """Runs while the `with` block does; `more` goes into its configuration."""

    def __init__(self, folder: Path, **more: Any) -> None:
        if not synapse.PYTHON.exists():
            raise RuntimeError("no Synapse yet: run `python3 packaging/bootstrap synapse`")
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        state = synapse.configure(folder, tls=False)
        path = folder / "homeserver.yaml"
        path.write_text(json.dumps(json.loads(path.read_text()) | more))
        url = f"http://{synapse.HOST}:{state['port']}"
        self.server = Homeserver(url, secret=str(state["secret"]), folder=folder)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> OwnSynapse:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Starts it at its port and waits until it answers."""
        self._process = synapse.launch(self._folder)
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                client.request(self.server.url, "GET", "/_matrix/client/versions")
            except (OSError, client.HomeserverError):
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"Synapse did not start:\n{synapse.tail(self._folder)}")

    def kill(self) -> None:
        """Ends it without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
