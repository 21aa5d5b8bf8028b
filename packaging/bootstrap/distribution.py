"""Single packages out of the distribution's archive, without touching the system's lists."""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import common
from common import CACHE, SetupError

# Unpacks a package into a folder; False when there is none to be had this way.
Getter = Callable[[Path], bool]

_SOURCES = Path("/etc/apt")
_FIELD = re.compile(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Mirror:
    """Where this machine gets its distribution from, and whose signature it trusts."""

    uri: str
    components: str
    signed_by: str


def release() -> dict[str, str]:
    """The fields of os-release: `ID`, `VERSION_CODENAME` and others."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def installed_lists(package: str) -> Getter:
    """The package that the system's own lists offer."""

    def get(folder: Path) -> bool:
        policy = common.output_of(["apt-cache", "policy", package])
        if not re.search(r"Candidate: (?!\(none\))", policy):
            return False
        _unpack(["apt-get", "-q", "download", package], folder)
        return True

    return get


def suite(name: str, package: str) -> Getter:
    """The package of a suite of this machine's mirror, by package lists of our own."""

    def get(folder: Path) -> bool:
        if not shutil.which("apt-get"):
            return False
        configuration = str(_private_apt(name, _mirror()))
        common.run(["apt-get", "-c", configuration, "-q", "update"], quiet=True)
        _unpack(["apt-get", "-c", configuration, "-q", "download", package], folder)
        return True

    return get


def _unpack(command: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        Path(scratch).chmod(0o755)
        # Without this apt warns that its sandbox user may not write here.
        command = [command[0], "-o", "APT::Sandbox::User=root", *command[1:]]
        common.run(command, cwd=Path(scratch), quiet=True)
        for deb in Path(scratch).glob("*.deb"):
            common.run(["dpkg-deb", "-x", deb, folder], quiet=True)


def _private_apt(suite: str, mirror: Mirror) -> Path:
    """Writes a configuration whose sources, lists and caches are all below build/cache."""
    base = CACHE / "apt" / suite
    for name in ("lists/partial", "archives/partial"):
        (base / name).mkdir(parents=True, exist_ok=True)
    sources = base / "one.sources"
    signed = f"Signed-By: {mirror.signed_by}\n" if mirror.signed_by else ""
    sources.write_text(
        f"Types: deb\nURIs: {mirror.uri}\nSuites: {suite}\n"
        f"Components: {mirror.components}\n{signed}"
    )
    configuration = base / "apt.conf"
    configuration.write_text(
        "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n"
        "#clear APT::Update::Post-Invoke-Success;\n#clear Acquire::IndexTargets;\n"
        "Acquire::IndexTargets { deb::Packages { MetaKey "
        '"$(COMPONENT)/binary-$(ARCHITECTURE)/Packages"; }; };\n'
        f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "-";\n'
        f'Dir::State::lists "{base}/lists";\nDir::Cache "{base}";\n'
        'Acquire::Languages "none";\nAPT::Sandbox::User "root";\n'
    )
    return configuration


def _mirror() -> Mirror:
    """The mirror of the running release, from this machine's sources files."""
    codename = release().get("VERSION_CODENAME", "")
    files = [_SOURCES / "sources.list", *sorted((_SOURCES / "sources.list.d").glob("*"))]
    for path in files:
        if path.suffix in (".list", ".sources") and path.is_file():
            parse = _from_stanzas if path.suffix == ".sources" else _from_lines
            if found := parse(path.read_text(), codename):
                return found
    raise SetupError(f"no mirror of {codename or 'this system'} in {_SOURCES}/sources.list*")


def _chosen(components: list[str]) -> str:
    return " ".join(name for name in ("main", "universe") if name in components)


def _from_stanzas(text: str, codename: str) -> Mirror | None:
    for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)):
        fields = {key.lower(): value for key, value in _FIELD.findall(stanza)}
        components = _chosen(fields.get("components", "").split())
        if (
            "deb" in fields.get("types", "").split()
            and codename in fields.get("suites", "").split()
            and components
            and fields.get("enabled", "yes").strip().lower() not in ("no", "false")
        ):
            return Mirror(fields["uris"].split()[0], components, fields.get("signed-by", ""))
    return None


def _from_lines(text: str, codename: str) -> Mirror | None:
    pattern = re.compile(r"^deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.+)$", re.MULTILINE)
    for options, uri, suite, components in pattern.findall(text):
        if suite == codename and (chosen := _chosen(components.split())):
            signed = re.search(r"signed-by=(\S+)", options)
            return Mirror(uri, chosen, signed.group(1) if signed else "")
    return None
