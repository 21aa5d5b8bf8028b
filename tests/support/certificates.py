"""Private certificate authorities and what they vouch for, made by openssl."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files; a client trusts `ca`, a server shows `certificate` with `key`."""

    ca: Path
    certificate: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        """The TLS context of a server with the loopback names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make(folder: Path) -> Certificates:
    """The certificates of this folder, made when they are not there yet."""
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    if not made.certificate.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _authority(made.ca, folder / "ca.key")
        _server(made, folder / "ca.key")
    return made


def _authority(ca: Path, key: Path) -> None:
    _openssl(
        "-subj",
        "/CN=libmatrix test authority",
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout",
        str(key),
        "-out",
        str(ca),
    )


def _server(made: Certificates, authority_key: Path) -> None:
    _openssl(
        "-subj",
        "/CN=localhost",
        "-CA",
        str(made.ca),
        "-CAkey",
        str(authority_key),
        "-addext",
        _NAMES,
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-addext",
        "keyUsage=critical,digitalSignature",
        "-addext",
        "extendedKeyUsage=serverAuth",
        "-keyout",
        str(made.key),
        "-out",
        str(made.certificate),
    )


def _openssl(*words: str) -> None:
    command = ["openssl", "req", "-x509", "-days", "3650", *_KEY, *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr}")


class Authority:
    """A private certificate authority that vouches for any names, for as long as is wanted."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self.file = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        self._openssl("req", "-x509", *_new_key(self._key), "-out", self.file, "-days", "30",
                      "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                      "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip

    def _openssl(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def server(self, names: str, days: int = 30) -> ssl.SSLContext:
        """The TLS context of a server whose certificate is for these subjectAltNames."""
        stem = self._folder / f"{self._name}-{len(list(self._folder.iterdir()))}"
        key, request = stem.with_suffix(".key"), stem.with_suffix(".csr")
        certificate, extensions = stem.with_suffix(".crt"), stem.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={names}\n")
        self._openssl("req", *_new_key(key), "-out", request, "-subj", "/CN=server")
        self._openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key,
                      "-CAcreateserial", "-out", certificate, "-days", str(days),
                      "-extfile", extensions)  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


def _new_key(path: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path)
