"""Where the fixtures for all tests are."""

pytest_plugins = [
    "tests.support.answered",
    "tests.support.fixtures",
    "tests.support.foreign",
    "tests.support.hosts",
    "tests.support.parties",
    "tests.support.sender",
]
