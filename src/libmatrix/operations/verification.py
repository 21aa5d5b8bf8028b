"""Verifying devices and users."""

from __future__ import annotations

from collections.abc import Callable

from libmatrix.client import Client
from libmatrix.crypto.verification import contents
from libmatrix.crypto.verification.flow import Verification
from libmatrix.crypto.verification.manager import Verifications
from libmatrix.crypto.verification.record import describe
from libmatrix.errors import ArgumentError
from libmatrix.table_gen import (
    AcceptVerificationArguments,
    AcceptVerificationResult,
    CancelVerificationArguments,
    CancelVerificationResult,
    ConfirmVerificationArguments,
    ConfirmVerificationResult,
    MismatchVerificationArguments,
    MismatchVerificationResult,
    RequestVerificationArguments,
    RequestVerificationResult,
    ScanQrArguments,
    ScanQrResult,
    ShowQrArguments,
    ShowQrResult,
    StartSasArguments,
    StartSasResult,
    VerificationsArguments,
    VerificationsResult,
)
from libmatrix.table_gen import Verification as Record

_METHODS = (contents.SAS, contents.SHOW, contents.SCAN)
_LONGEST = 255


async def request_verification(
    client: Client, arguments: RequestVerificationArguments
) -> RequestVerificationResult:
    """Asks another device or user."""
    known = await _all_of(client)
    if arguments.room_id is not None and arguments.device_id is not None:
        raise ArgumentError("device_id: not with room_id")
    flow = await known.request(
        arguments.user_id, arguments.device_id, arguments.room_id, _methods(arguments.methods)
    )
    return RequestVerificationResult(verification=describe(flow))


async def accept_verification(
    client: Client, arguments: AcceptVerificationArguments
) -> AcceptVerificationResult:
    """Agrees to a request."""
    methods = _methods(arguments.methods)
    shown = await _do(client, arguments.verification_id, lambda flow: flow.accept(methods))
    return AcceptVerificationResult(verification=shown)


async def start_sas(client: Client, arguments: StartSasArguments) -> StartSasResult:
    """Begins to compare emoji or numbers."""
    shown = await _do(client, arguments.verification_id, Verification.start_sas)
    return StartSasResult(verification=shown)


async def show_qr(client: Client, arguments: ShowQrArguments) -> ShowQrResult:
    """What a QR code is to hold."""
    flow = (await _all_of(client)).find(arguments.verification_id)
    return ShowQrResult(data=flow.show_qr())


async def scan_qr(client: Client, arguments: ScanQrArguments) -> ScanQrResult:
    """What a QR code has held."""
    data = arguments.data
    shown = await _do(client, arguments.verification_id, lambda flow: flow.scan_qr(data))
    return ScanQrResult(verification=shown)


async def confirm_verification(
    client: Client, arguments: ConfirmVerificationArguments
) -> ConfirmVerificationResult:
    """The strings are the same."""
    shown = await _do(client, arguments.verification_id, Verification.confirm)
    return ConfirmVerificationResult(verification=shown)


async def mismatch_verification(
    client: Client, arguments: MismatchVerificationArguments
) -> MismatchVerificationResult:
    """The strings differ."""
    shown = await _do(client, arguments.verification_id, Verification.mismatch)
    return MismatchVerificationResult(verification=shown)


async def cancel_verification(
    client: Client, arguments: CancelVerificationArguments
) -> CancelVerificationResult:
    """Ends it."""
    code, reason = arguments.code, arguments.reason
    if not 0 < len(code) <= _LONGEST:
        raise ArgumentError("code: is empty or too long")
    shown = await _do(client, arguments.verification_id, lambda flow: flow.cancel(code, reason))
    return CancelVerificationResult(verification=shown)


async def verifications(client: Client, arguments: VerificationsArguments) -> VerificationsResult:
    """Lists them."""
    known = await _all_of(client)
    return VerificationsResult(verifications=[describe(flow) for flow in known.all()])


async def _all_of(client: Client) -> Verifications:
    return (await client.open_crypto()).verifications


async def _do(
    client: Client, verification_id: str, step: Callable[[Verification], object]
) -> Record:
    known = await _all_of(client)
    flow = known.find(verification_id)
    step(flow)
    await known.carry_on(flow)
    return describe(flow)


def _methods(wanted: list[str] | None) -> list[str]:
    """By their names on the wire: scanning in either direction has one more."""
    methods = [contents.SAS] if wanted is None else list(dict.fromkeys(wanted))
    if not methods or not set(methods) <= set(_METHODS):
        raise ArgumentError(f"methods: those known are {', '.join(_METHODS)}")
    if contents.SHOW in methods or contents.SCAN in methods:
        methods.append(contents.RECIPROCATE)
    return methods
