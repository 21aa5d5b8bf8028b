"""Makes stores with many room keys: crypto_stores.py COUNT OURS [NIO's]."""

import sys
from pathlib import Path
from types import SimpleNamespace

from vodozemac import GroupSession, InboundGroupSession

from libmatrix.auth.session import Session
from libmatrix.crypto.account import Account
from libmatrix.crypto.records import RoomKey, encode
from libmatrix.crypto.store import CryptoStore
from libmatrix.store.seal import Vault
from libmatrix.store.state import State

ME, DEVICE = "@bench:localhost", "D"


def sessions(count: int) -> list[InboundGroupSession]:
    return [InboundGroupSession(GroupSession().session_key) for _ in range(count)]


def make_ours(folder: str, made: list[InboundGroupSession]) -> None:
    state = State(folder)
    state.keep_session(Session(user_id=ME, device_id=DEVICE, access_token="token"))
    store = CryptoStore(state, folder, Vault(None))
    account = Account(SimpleNamespace(store=store, user_id=ME, device_id=DEVICE))  # type: ignore[arg-type]
    account.olm.generate_fallback_key()  # type: ignore[attr-defined]
    account.adopt(account.olm, True)
    for number, session in enumerate(made):
        room_id = f"!room{number % 100}:localhost"
        kept = RoomKey(
            room_id=room_id,
            session_id=session.session_id,
            pickle=session.pickle(store.key),
            sender_key=account.curve25519,
            ed25519=account.ed25519,
            owner=ME,
        )
        store.room_keys.put(room_id, session.session_id, encode(kept))
    store.flush()
    state.close()


def make_nio(folder: str, made: list[InboundGroupSession]) -> None:
    from nio.crypto.sessions import InboundGroupSession as NioSession
    from nio.crypto.sessions import OlmAccount
    from nio.store import DefaultStore

    Path(folder).mkdir()
    store = DefaultStore(ME, DEVICE, folder, "DEFAULT_KEY")
    account = OlmAccount()
    store.save_account(account)
    key = account.identity_keys["curve25519"]
    with store.database.atomic():
        for number, session in enumerate(made):
            room_id = f"!room{number % 100}:localhost"
            store.save_inbound_group_session(
                NioSession("", account.identity_keys["ed25519"], key, room_id, session=session)
            )


def main(count: int, ours: str, nio: str = "") -> None:
    made = sessions(count)
    make_ours(ours, made)
    if nio:
        make_nio(nio, made)


main(int(sys.argv[1]), *sys.argv[2:])
