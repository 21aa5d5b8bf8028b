"""The library on a machine that has the C library and Lua, and no Python."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from tests.package import empty_root
from tests.package.places import ROOT, Installed, Member, Packages, run
from tests.support.homeserver import Homeserver

pytestmark = [pytest.mark.package, pytest.mark.homeserver]

APPLICATION = ROOT / "packaging/package_app"


def compile_program(prefix: Path, target: Path, runpath: str) -> None:
    """Compiles the C example with what pkg-config says, as anyone would."""
    env = {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig"), "PATH": "/usr/bin:/bin"}
    flags = shlex.split(run("pkg-config", "--cflags", "--libs", "matrix", env=env))
    run("cc", "-std=c11", APPLICATION / "main.c", "-o", target, *flags, f"-Wl,-rpath,{runpath}")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_c_program_runs(
    installed: Installed, member: Member, server: Homeserver, tls: bool
) -> None:
    program = installed.prefix / "bin/room_list"
    program.parent.mkdir()
    compile_program(installed.prefix, program, "$ORIGIN/../lib")
    arguments = [server.url, member.account.user]
    if tls:
        shutil.copyfile(server.ca_file, installed.root / "tmp/ca.pem")
        arguments = [server.tls_url, member.account.user, "/tmp/ca.pem"]
    done = empty_root.run(
        installed.root, installed.inside(program), *arguments, env=member.environment
    )
    member.check(done)
    assert done.stderr == ""


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_lua_program_runs(
    installed: Installed, member: Member, server: Homeserver, tls: bool
) -> None:
    script = installed.prefix / "rooms.lua"
    shutil.copyfile(APPLICATION / "rooms.lua", script)
    arguments = [server.url, member.account.user]
    if tls:
        shutil.copyfile(server.ca_file, installed.root / "tmp/ca.pem")
        arguments = [server.tls_url, member.account.user, "/tmp/ca.pem"]
    member.check(
        empty_root.run(
            installed.root,
            "/usr/bin/lua5.4",
            installed.inside(script),
            *arguments,
            env=member.environment,
        )
    )


def test_tls_without_the_authority_is_refused(
    installed: Installed, member: Member, server: Homeserver
) -> None:
    script = installed.prefix / "rooms.lua"
    shutil.copyfile(APPLICATION / "rooms.lua", script)
    done = empty_root.run(
        installed.root,
        "/usr/bin/lua5.4",
        installed.inside(script),
        server.tls_url,
        member.account.user,
        env=member.environment,
    )
    assert done.returncode != 0
    assert "E_TLS" in done.stderr


def test_the_deb_is_found_by_lua_and_the_loader(
    packages: Packages, archive: Path, member: Member, server: Homeserver, tmp_path: Path
) -> None:
    root = empty_root.unpack(archive, tmp_path / "root")
    run("dpkg-deb", "--extract", packages.deb, root)
    shutil.copyfile(APPLICATION / "rooms.lua", root / "tmp/rooms.lua")
    arguments = ["/tmp/rooms.lua", server.url, member.account.user]
    member.check(empty_root.run(root, "/usr/bin/lua5.4", *arguments, env=member.environment))

    (folder,) = root.glob("usr/lib/*/pkgconfig")
    program = root / "usr/bin/room_list"
    env = {"PKG_CONFIG_PATH": str(folder), "PATH": "/usr/bin:/bin"}
    flags = shlex.split(run("pkg-config", "--cflags", "--libs", "matrix", env=env))
    run("cc", "-std=c11", APPLICATION / "main.c", "-o", program, *flags)
    arguments = [server.url, member.account.user]
    member.check(empty_root.run(root, "/usr/bin/room_list", *arguments, env=member.environment))
