"""A build system that builds nothing: it answers pip's question for metadata with PKG-INFO."""

from __future__ import annotations

import sys
from email.parser import Parser
from pathlib import Path


def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:
    """Nothing is needed to copy a file."""
    return []


def prepare_metadata_for_build_wheel(folder: str, config_settings: object = None) -> str:
    """Writes the archive's own metadata where pip looks for it."""
    text = Path("PKG-INFO").read_text("utf-8")
    fields = Parser().parsestr(text, headersonly=True)
    name = f"{fields['Name'].replace('-', '_')}-{fields['Version']}.dist-info"
    Path(folder, name).mkdir()
    Path(folder, name, "METADATA").write_text(text, "utf-8")
    return name


# What pip calls for archives without a pyproject.toml, or without a build-backend in it.
__legacy__ = sys.modules[__name__]
