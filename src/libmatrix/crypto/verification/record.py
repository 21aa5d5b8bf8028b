"""A verification as the host sees it."""

from __future__ import annotations

from libmatrix.crypto.verification.flow import Verification
from libmatrix.table_gen import SasEmoji
from libmatrix.table_gen import Verification as Record


def describe(flow: Verification) -> Record:
    """The record of a verification as it is now."""
    steps = flow.steps
    has_strings = steps is not None and flow.state in ("comparing", "confirmed")
    strings = steps.short_strings if steps is not None and has_strings else []
    emoji = steps.sas.emoji if steps is not None and "emoji" in strings else []
    return Record(
        kind="verification",
        verification_id=flow.id,
        state=flow.state,
        user_id=flow.user_id,
        device_id=flow.device_id,
        room_id=flow.room_id,
        is_outgoing=flow.is_outgoing,
        is_own_user=flow.is_own_user,
        methods=flow.offered_methods,
        method=flow.method,
        emoji=[SasEmoji(emoji=symbol, description=text) for symbol, text in emoji],
        decimals=list(steps.sas.decimals) if steps is not None and has_strings else [],
        cancel_code=flow.cancel_code,
        cancel_reason=flow.cancel_reason,
        is_cancelled_by_other=flow.is_cancelled_by_other,
        expires_ts=flow.expires_ms,
    )
