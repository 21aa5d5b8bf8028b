"""Where the fixtures for all tests are, and what holds for all generated examples."""

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.support.answered",
    "tests.support.fixtures",
    "tests.support.foreign",
    "tests.support.hosts",
    "tests.support.parties",
    "tests.support.sender",
]

# A busy machine is slow, and fixtures are made so that many examples can use them.
settings.register_profile(
    "tests",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("tests")
