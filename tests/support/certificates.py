"""A private certificate authority and a certificate for the loopback names, made by openssl."""

from __future__ import annotations

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
