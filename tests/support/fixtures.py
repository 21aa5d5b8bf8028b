"""What tests of many kinds start with: a homeserver, an account, a runtime in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import homeserver as module
from tests.support.certificates import Authority
from tests.support.homeserver import Account, Homeserver
from tests.support.runtime_host import RuntimeHost


@pytest.fixture(scope="session")
def homeserver() -> Iterator[Homeserver]:
    """The Synapse that all workers of the session share, or the one the environment names."""
    with module.homeserver() as server:
        yield server


@pytest.fixture
def account(homeserver: Homeserver) -> Account:
    """A user of this test alone, where the homeserver is our own."""
    return homeserver.account()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One whom only those trust that are told to."""
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture
def host() -> Iterator[RuntimeHost]:
    """One context with a runtime of its own."""
    with RuntimeHost() as running:
        yield running
