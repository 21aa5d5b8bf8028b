"""The homeserver as a pytest fixture; a conftest.py names this module in `pytest_plugins`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import homeserver as module
from tests.support.homeserver import Account, Homeserver


@pytest.fixture(scope="session")
def homeserver() -> Iterator[Homeserver]:
    """The Synapse that all workers of the session share, or the one the environment names."""
    with module.homeserver() as server:
        yield server


@pytest.fixture
def account(homeserver: Homeserver) -> Account:
    """A user of this test alone, where the homeserver is our own."""
    return homeserver.account()
