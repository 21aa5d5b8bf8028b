"""The parts of encryption that many clients never need: each is loaded when it is first used."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from libmatrix.crypto.backup import Backup
    from libmatrix.crypto.cross_signing import CrossSigning
    from libmatrix.crypto.machine import Crypto
    from libmatrix.crypto.secret_sharing import SecretSharing
    from libmatrix.crypto.secrets import SecretStorage

_BACKUP = "backup"


class Parts:
    """What `Crypto` has beside the machine itself."""

    @cached_property
    def cross_signing(self) -> CrossSigning:
        """The account's private keys."""
        from libmatrix.crypto.cross_signing import CrossSigning

        return CrossSigning(cast("Crypto", self))

    @cached_property
    def secrets(self) -> SecretStorage:
        """The account's secret storage."""
        from libmatrix.crypto.secrets import SecretStorage

        return SecretStorage(cast("Crypto", self))

    @cached_property
    def secret_sharing(self) -> SecretSharing:
        """Secrets between the user's own devices."""
        from libmatrix.crypto.secret_sharing import SecretSharing

        return SecretSharing(cast("Crypto", self))

    @cached_property
    def backup(self) -> Backup:
        """The account's key backup."""
        from libmatrix.crypto.backup import Backup

        return Backup(cast("Crypto", self))

    def begin_parts(self) -> None:
        """Has those loaded that have something to do, and the others when they have."""
        crypto = cast("Crypto", self)
        crypto.on_to_device("m.secret.request", lambda *event: self.secret_sharing.asked(*event))
        crypto.on_to_device("m.secret.send", lambda *event: self.secret_sharing.sent(*event))
        self.resume_backup()

    def resume_backup(self) -> None:
        """Goes on with the backup, if one is in use."""
        if cast("Crypto", self).store.values.get(_BACKUP) is not None:
            self.backup.upload.wake()
