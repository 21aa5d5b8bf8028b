"""What the pages of docs/ show runs: each listing in C, Lua and Fennel, against a homeserver.

`programs/` has a program for each page and language. `LISTING 2`, in a comment that is a line,
stands for the second listing of the page in that language; the rest is what the page takes for
granted, and what has to come of it. `PUT a => b` puts b for a, or for the string "a", in the
listings: what a page can only make up. `PRINTS` is a pattern that the output of a C program has.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lua.interpreters import HERE as LUA
from tests.support.homeserver import Homeserver
from tests.support.hosts import compile_source
from tests.support.issuer import Issuer
from tests.support.pages import PAGES, languages, listings
from tests.support.scenario import LUA_5_4, Scene, make_scene
from tests.support.sso import SingleSignOn

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
SUFFIXES = {".c": "c", ".lua": "lua", ".fnl": "fennel"}
# These are tried by tests of their own.
ELSEWHERE = {
    "README": "test_readme.py",
    "contributing": "test_contributing.py",
    "first-bot": "test_readme.py",
    "game-loop": "test_readme.py",
}
NAMES = sorted(path.name for path in PROGRAMS.iterdir())

_MARK = re.compile(r"^ *(?:--|;;|/\*) (LISTING|PUT|PRINTS) (.*?)(?: \*/)?\n", re.MULTILINE)


def marks(text: str, what: str) -> list[str]:
    """What a program says of itself."""
    return [value for name, value in _MARK.findall(text) if name == what]


def filled(name: str) -> str:
    """The program of that name with the page's listings in it, each once."""
    page, suffix = name.split(".")
    text = (PROGRAMS / name).read_text()
    shown = listings(page, SUFFIXES[f".{suffix}"])
    used = sorted(int(number) for number in marks(text, "LISTING"))
    assert used == list(range(1, len(shown) + 1)), f"{name} has not each listing of {page}.md once"
    for put in marks(text, "PUT"):
        old, new = put.split(" => ")
        assert any(old in each for each in shown), f"{page}.md: {old} is nowhere"
        shown = [each.replace(old, new) for each in shown]

    def put_in(mark: re.Match[str]) -> str:
        return shown[int(mark[2]) - 1] if mark[1] == "LISTING" else ""

    return _MARK.sub(put_in, text)


def test_each_listing_is_in_a_program() -> None:
    for page in PAGES.keys() - ELSEWHERE.keys():
        for suffix, language in SUFFIXES.items():
            is_tried = f"{page}{suffix}" in NAMES
            assert is_tried or not listings(page, language), (
                f"{page}.md: nothing runs its {language}"
            )


def test_other_languages_are_tried_elsewhere() -> None:
    """The commands by test_shells.py, the rest by test_contributing.py and test_wheel.py."""
    shown = {(page, kind) for page in PAGES for kind in languages(page)}
    others = {(page, kind) for page, kind in shown if kind not in ("sh", *SUFFIXES.values())}
    assert others == {("contributing", "toml"), ("contributing", "python"), ("packaging", "cmake")}


@pytest.fixture
def scene(homeserver: Homeserver) -> Scene:
    return make_scene(homeserver)


@pytest.fixture
def told(scene: Scene, tmp_path: Path) -> dict[str, str]:
    """What a program is told by the environment."""
    paths = f"{LUA}/?.lua;{HERE}/?.lua"
    return {**scene.env, "MATRIX_STORE": str(tmp_path / "store"), "LUA_PATH": paths}


@pytest.fixture
def logins(scene: Scene, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The other ways to log in, and a browser whose user has done so before."""
    browser = tmp_path / "xdg-open"
    opener = "urllib.request.build_opener(urllib.request.ProxyHandler({}))"
    browser.write_text(
        f"#!{sys.executable}\nimport sys, urllib.request\n{opener}.open(sys.argv[1])\n"
    )
    browser.chmod(0o755)
    with ExitStack() as stack:
        sso = stack.enter_context(SingleSignOn(scene.server, scene.alice))
        issuer = stack.enter_context(Issuer())
        yield {
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "MATRIX_SSO": sso.url,
            "MATRIX_ISSUER": issuer.url,
        }
        assert sso.providers


@pytest.mark.homeserver
@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".lua")])
def test_lua(
    name: str, stage: Path, told: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    program = tmp_path / name
    program.write_text(filled(name))
    if name == "login.lua":
        told |= request.getfixturevalue("logins")
    done = LUA_5_4.run(stage, program, env=told)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.mark.homeserver
@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".fnl")])
def test_fennel(name: str, stage: Path, told: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / name
    program.write_text(filled(name))
    run = f"require('matrix').fennel().dofile({json.dumps(str(program))})"
    done = LUA_5_4.run(stage, "-e", run, env=told)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.mark.homeserver
@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".c")])
def test_c(name: str, stage: Path, told: dict[str, str], tmp_path: Path) -> None:
    text = filled(name)
    source, program = tmp_path / name, tmp_path / "program"
    source.write_text(text)
    compile_source(stage, source, program, ["-Wno-unused-parameter"])
    command = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run([program], env=told, timeout=120, check=False, **command)
    assert done.returncode == 0, done.stdout
    for pattern in marks((PROGRAMS / name).read_text(), "PRINTS"):
        assert re.search(pattern, done.stdout, re.MULTILINE), done.stdout
