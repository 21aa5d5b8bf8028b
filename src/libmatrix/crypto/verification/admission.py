"""Who may begin a verification with this device: anybody, but not any number."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from libmatrix.crypto.verification.flow import Verification

# What a user may begin at once, and how long until one more.
_AT_ONCE = 20
_PAUSE_SECONDS = 10.0
# Users whose last attempts are remembered.
_MOST_USERS = 1_000
# That go on or have just ended: in all, of users whom this one knows nothing of, and of one user
# those that wait or go on.
MOST = 200
_MOST_OF_STRANGERS = 100
_MOST_OF_ONE = 10


class Admission:
    """Counts for each user; what is too much is not answered."""

    def __init__(
        self,
        now: Callable[[], float],
        is_stranger: Callable[[str], bool],
        log: Callable[[str], None],
    ) -> None:
        """`now` is a clock in seconds."""
        self._now = now
        self._log = log
        self._is_stranger = is_stranger
        # What each may begin yet, as of when; who was not heard of for longest is first.
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, user_id: str) -> bool:
        """Whether a message of a user that begins something is to be looked at; counts it."""
        now = self._now()
        left, since = self._left.pop(user_id, (float(_AT_ONCE), now))
        left = min(left + (now - since) / _PAUSE_SECONDS, _AT_ONCE)
        self._left[user_id] = (max(left - 1, 0.0), now) if left >= 1 else (left, now)
        while len(self._left) > _MOST_USERS:
            del self._left[next(iter(self._left))]
        if left < 1:
            self._log(f"{user_id} begins verifications too often: one was ignored")
        return left >= 1

    def has_room(self, flow: Verification, flows: Iterable[Verification]) -> bool:
        """Whether one more is not too many beside these."""
        others = [each for each in flows if not each.is_outgoing]
        own = sum(each.user_id == flow.user_id and not each.is_over for each in others)
        if own >= _MOST_OF_ONE or len(others) >= MOST:
            return False
        if not self._is_stranger(flow.user_id):
            return True
        theirs = sum(self._is_stranger(each.user_id) and not each.is_over for each in others)
        return theirs < _MOST_OF_STRANGERS
