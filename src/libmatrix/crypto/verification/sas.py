"""The arithmetic of one SAS verification: commitment, shared secret, strings to compare, MACs."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from vodozemac import Curve25519PublicKey, EstablishedSas, SasException
from vodozemac import Sas as OlmSas

from libmatrix.crypto.signatures import canonical_json
from libmatrix.crypto.verification.contents import MAC_METHOD, Mac, Party
from libmatrix.crypto.verification.emoji import EMOJI

_SAS_INFO = "MATRIX_KEY_VERIFICATION_SAS"
_MAC_INFO = "MATRIX_KEY_VERIFICATION_MAC"
_KEY_IDS = "KEY_IDS"


class Sas:
    """One side's ephemeral key and what comes of it. It is used for one verification only."""

    def __init__(self, own: Party, other: Party, verification_id: str, *, is_starter: bool) -> None:
        """`is_starter`: this side's m.key.verification.start is the one that counts."""
        self._own, self._other = own, other
        self._id = verification_id
        self._is_starter = is_starter
        self._olm = OlmSas()
        self._shared: EstablishedSas | None = None
        self.public_key = self._olm.public_key.to_base64()
        self.mac_method = MAC_METHOD
        # Numbers of emoji, and the three decimals; after `agree`.
        self.emoji_indices: tuple[int, ...] = ()
        self.decimals: tuple[int, ...] = ()

    @property
    def emoji(self) -> list[tuple[str, str]]:
        """The seven emoji with their descriptions."""
        return [EMOJI[index] for index in self.emoji_indices]

    def agree(self, other_key: str) -> None:
        """Takes the other side's key; raises ValueError when it is none, or a weak one."""
        if other_key.rstrip("=") == self.public_key:
            raise ValueError("the key is one's own")
        self._shared = self._olm.diffie_hellman(Curve25519PublicKey.from_base64(other_key))
        starter = (*self._own, self.public_key)
        accepter = (*self._other, other_key.rstrip("="))
        if not self._is_starter:
            starter, accepter = accepter, starter
        strings = self._shared.bytes("|".join((_SAS_INFO, *starter, *accepter, self._id)))
        self.emoji_indices = tuple(strings.emoji_indices)
        self.decimals = tuple(strings.decimals)

    def macs(self, keys: dict[str, str]) -> dict[str, Any]:
        """The content of m.key.verification.mac that vouches for one's own keys by key id."""
        info = self._mac_info(self._own, self._other)
        macs = {key_id: self._mac(key, info + key_id) for key_id, key in keys.items()}
        return {"mac": macs, "keys": self._mac(",".join(sorted(macs)), info + _KEY_IDS)}

    def check(self, content: Mac, known: dict[str, str]) -> dict[str, str] | None:
        """Those of the other's known keys that a MAC vouches for; None when any MAC is wrong."""
        info = self._mac_info(self._other, self._own)
        if not self._fits(",".join(sorted(content.mac)), info + _KEY_IDS, content.keys):
            return None
        vouched = {key_id: key for key_id, key in known.items() if key_id in content.mac}
        for key_id, key in vouched.items():
            if not self._fits(key, info + key_id, content.mac[key_id]):
                return None
        return vouched

    # -- inside -------------------------------------------------------------------------------

    def _mac_info(self, sender: Party, receiver: Party) -> str:
        return "".join((_MAC_INFO, *sender, *receiver, self._id))

    def _mac(self, text: str, info: str) -> str:
        assert self._shared is not None
        if self.mac_method == MAC_METHOD:
            return self._shared.calculate_mac(text, info)
        return self._shared.calculate_mac_invalid_base64(text, info)

    def _fits(self, text: str, info: str, mac: str) -> bool:
        assert self._shared is not None
        if self.mac_method != MAC_METHOD:
            return hmac.compare_digest(self._mac(text, info).encode(), mac.encode())
        try:
            self._shared.verify_mac(text, info, mac.rstrip("="))
        except (SasException, ValueError):
            return False
        return True


def commitment(public_key: str, start: dict[str, Any]) -> str:
    """The hash of a key and the start message it answers; raises ValueError for no JSON."""
    digest = hashlib.sha256(public_key.encode() + canonical_json(start)).digest()
    return base64.b64encode(digest).decode().rstrip("=")
