"""What a failed attempt means: try again or not, and whether it may have worked all the same."""

from __future__ import annotations

from typing import Literal, NamedTuple

from libmatrix.errors import (
    DiscoveryError,
    HomeserverError,
    MatrixError,
    NotLoggedInError,
    RenewalError,
    ResponseError,
    StoreError,
    TransportError,
    UnknownTokenError,
)

# permanent: no attempt will do better. limited: the homeserver asks to slow down. unauthorized: not
# before there is a token again. temporary: later.
What = Literal["permanent", "limited", "unauthorized", "temporary"]


class Verdict(NamedTuple):
    """What a failed attempt means."""

    what: What
    # Whether the homeserver may have taken it.
    may_be_sent: bool = False


# Refusals of a moment. 401: the account is locked, for example.
_PASSING = frozenset({401, 408, 425})


def judge(error: MatrixError) -> Verdict:
    """What the failure of an attempt means."""
    if isinstance(error, UnknownTokenError | NotLoggedInError):
        return Verdict("unauthorized")
    if isinstance(error, TransportError):
        # The request itself cannot be made.
        is_wrong = error.code == "E_INVALID_ARGUMENT"
        return Verdict("permanent" if is_wrong else "temporary", error.sent)
    if isinstance(error, HomeserverError | ResponseError):
        return _judge_status(error.http_status)
    if isinstance(error, StoreError | DiscoveryError | RenewalError):
        return Verdict("temporary")
    return Verdict("permanent")


def _judge_status(status: int | None) -> Verdict:
    if status == 429:
        return Verdict("limited")
    if status in _PASSING:
        return Verdict("temporary", may_be_sent=status == 408)
    if status is not None and 400 <= status < 500:
        return Verdict("permanent")
    # Also an answer that no homeserver gives: of a hotel's network, for example.
    return Verdict("temporary", may_be_sent=True)
