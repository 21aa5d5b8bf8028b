"""Fixtures for all tests: the homeserver, and host programs compiled against the staged library."""

pytest_plugins = ["tests.support.fixtures", "tests.support.foreign", "tests.support.hosts"]
