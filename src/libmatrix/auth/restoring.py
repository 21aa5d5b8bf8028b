"""Which session a client begins with: the one it is given, or the one in its store."""

from __future__ import annotations

from libmatrix.auth.session import Session, import_text
from libmatrix.errors import StoreError
from libmatrix.table_gen import ClientOptions


def restore(options: ClientOptions, stored: Session, base_url: str | None) -> Session:
    """The session of the options, else that of the store; `StoreError` when they do not agree.

    `base_url` is that of the homeserver, where the options name it.
    """
    given = import_text(options.session) if options.session is not None else None
    user_id = given.user_id if given is not None else options.user_id
    if user_id and stored.user_id not in (None, user_id):
        raise StoreError(f"the store belongs to {stored.user_id}")
    if given is not None and stored.device_id not in (None, given.device_id):
        raise StoreError("the store belongs to another device")
    if given is not None:
        # The store may have renewed the tokens since.
        return stored if stored.is_logged_in else given
    if options.access_token is None:
        return stored
    has_newer = stored.is_logged_in and options.refresh_token is not None
    return stored if has_newer else _of_options(options, stored, base_url)


def _of_options(options: ClientOptions, stored: Session, base_url: str | None) -> Session:
    # Another token may be another device's.
    device_id = stored.device_id if options.access_token == stored.access_token else None
    return Session(
        user_id=options.user_id or stored.user_id,
        device_id=options.device_id or device_id,
        access_token=options.access_token,
        refresh_token=options.refresh_token,
        homeserver=base_url or stored.homeserver,
    )
