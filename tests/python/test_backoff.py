"""Pauses: their range, what a server may ask for, and that they start over."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from libmatrix.api import Retries
from libmatrix.backoff import LONGEST_RETRY_AFTER_MS, Backoff, jitter, retry_after_ms
from libmatrix.errors import MatrixError


def test_range_doubles_up_to_the_cap() -> None:
    backoff = Backoff(100, 1_000)
    for highest in (200, 400, 800, 1_000, 1_000):
        assert 100 <= backoff.failed() <= highest
    for _ in range(100_000):
        backoff.failures += 1
    assert 100 <= backoff.failed() <= 1_000


def test_full_jitter() -> None:
    pauses = []
    for _ in range(400):
        backoff = Backoff(100, 100_000)
        backoff.failures = 6
        pauses.append(backoff.failed())
    assert min(pauses) < 2_000
    assert max(pauses) > 10_000
    assert len(set(pauses)) > 300
    assert all(0 <= jitter() <= 1 for _ in range(100))


def test_success_starts_over() -> None:
    backoff = Backoff(100, 100_000)
    for _ in range(10):
        backoff.failed()
    backoff.succeeded()
    assert 100 <= backoff.failed() <= 200


def test_never_without_a_pause() -> None:
    assert Backoff(0, 0).failed() >= 1
    assert Backoff(500, 100).failed() == 500


def test_what_the_server_asks_for() -> None:
    backoff = Backoff(100, 1_000)
    assert 5_000 <= backoff.failed(5_000) <= 5_100
    assert backoff.failed(0) <= 400
    assert backoff.failed(10**12) <= LONGEST_RETRY_AFTER_MS + 100
    # It asks for the least, not for the most.
    backoff.failures = 10
    assert backoff.failed(1) >= 100


@pytest.mark.parametrize(
    ("headers", "field", "expected"),
    [
        ({"retry-after": "3"}, None, 3_000),
        ({"retry-after": " 0 "}, 5, 0),
        ({}, 250, 250),
        ({}, 250.9, 250),
        ({}, 1e300, 86_400_000),
        ({"retry-after": "9" * 9}, None, 86_400_000),
        ({"retry-after": "9" * 40}, 7, 7),
        ({"retry-after": "-1"}, 7, 7),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "soon"}, "250", None),
        ({}, True, None),
        ({}, float("nan"), None),
        ({}, -1, None),
        ({}, [], None),
        ({"retry-after": "Fri, 32 Jan 2100 00:00:00 GMT"}, None, None),
        ({"retry-after": "Fri, 01 Foo 2100 00:00:00 GMT"}, None, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, None, 0),
        (
            {
                "retry-after": "Sun, 06 Nov 1994 08:49:47 GMT",
                "date": "Sun, 06 Nov 1994 08:49:37 GMT",
            },
            None,
            10_000,
        ),
    ],
)
def test_retry_after(headers: dict[str, str], field: object, expected: int | None) -> None:
    assert retry_after_ms(headers, field) == expected


def test_retry_after_as_a_date_without_the_server_s_clock() -> None:
    found = retry_after_ms({"retry-after": formatdate(time.time() + 60, usegmt=True)})
    assert found is not None
    assert 55_000 <= found <= 61_000


@pytest.mark.parametrize(
    ("method", "status", "retry_after", "repeats"),
    [
        ("POST", 429, None, True),
        ("GET", 429, 100, True),
        ("GET", 503, None, True),
        ("PUT", 502, None, True),
        ("POST", 503, None, False),
        ("GET", 500, None, False),
        ("GET", 404, None, False),
        ("GET", None, None, False),
        ("GET", 429, 10 * 60_000, False),
    ],
)
def test_which_requests_are_repeated(
    method: str, status: int | None, retry_after: int | None, repeats: bool
) -> None:
    retries = Retries(method)
    error = MatrixError("x", http_status=status, retry_after_ms=retry_after)
    assert (retries.pause_ms(error) is not None) == repeats


def test_repeated_only_some_times() -> None:
    retries = Retries("GET")
    error = MatrixError("x", http_status=429)
    assert [retries.pause_ms(error) is None for _ in range(5)] == [False] * 4 + [True]
