"""User-interactive authentication: what the homeserver wants to see before it does something.

Stages that need nobody are done here; for all others the host is asked `user_interactive_auth`
with `{session, flows, params, completed, errcode, error}` and answers `{auth: {type: …, …}}`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from libmatrix.api import decode
from libmatrix.errors import ArgumentError, ChallengeError, HomeserverError, ResponseError

Ask = Callable[[str, Raw, int], Awaitable[Raw]]
Send = Callable[[dict[str, Any] | None], Awaitable[bytes]]

_QUESTION = "user_interactive_auth"
_MOST_ROUNDS = 20

_encode = msgspec.json.Encoder().encode


class _Flow(msgspec.Struct):
    stages: list[str] = []


class _Challenge(msgspec.Struct, omit_defaults=True):
    flows: list[_Flow]
    params: dict[str, Any] = {}
    completed: list[str] = []
    session: str | None = None
    errcode: str | None = None
    error: str | None = None


async def authenticate(
    send: Send, ask: Ask, own: Mapping[str, Mapping[str, Any]], timeout_ms: int
) -> bytes:
    """Sends, as often as it takes; `own`: the stages to be done here, with their fields.

    Raises `ResponseError` and `HomeserverError`.
    """
    auth: dict[str, Any] | None = None
    tried: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        try:
            return await send(auth)
        except ChallengeError as error:
            challenge = decode(error.challenge, _Challenge)
        stage = _own_stage(challenge, own)
        if stage is None:
            auth = await _ask_host(challenge, ask, timeout_ms)
        elif stage in tried:
            code, text = challenge.errcode or "M_UNAUTHORIZED", challenge.error or stage
            raise HomeserverError(" ".join(text.split())[:300], code=code[:100], http_status=401)
        else:
            tried.add(stage)
            auth = {"type": stage, **own[stage]}
        if challenge.session is not None:
            auth["session"] = challenge.session
    raise ResponseError("the homeserver wants to see ever more")


def _own_stage(challenge: _Challenge, own: Mapping[str, Any]) -> str | None:
    """The next stage of a flow that needs nobody, if there is one."""
    for flow in challenge.flows:
        missing = [stage for stage in flow.stages if stage not in challenge.completed]
        if missing and all(stage in own for stage in missing):
            return missing[0]
    return None


async def _ask_host(challenge: _Challenge, ask: Ask, timeout_ms: int) -> dict[str, Any]:
    answer = msgspec.json.decode(await ask(_QUESTION, Raw(_encode(challenge)), timeout_ms))
    auth = answer.get("auth") if isinstance(answer, dict) else None
    if not isinstance(auth, dict):
        raise ArgumentError(f"{_QUESTION}: the answer has no map auth")
    return auth
