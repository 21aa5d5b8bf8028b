"""The library on a machine that has the C library and Lua, and no Python."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.package import empty_root
from tests.package.places import ROOT, Installed, Member, Packages, run

pytestmark = [pytest.mark.package, pytest.mark.homeserver]

EXAMPLES = ROOT / "examples"
CA_FILE = "/tmp/ca.pem"
OPENSSL_CONFIGURATION = """\
openssl_conf = first
[first]
providers = all
[all]
default = one
legacy = one
[one]
activate = 1
"""


def compile_program(pkgconfig: Path, target: Path, *options: str) -> None:
    """Compiles the C example with what pkg-config says, as anyone would."""
    env = {"PKG_CONFIG_PATH": str(pkgconfig), "PATH": "/usr/bin:/bin"}
    flags = shlex.split(run("pkg-config", "--cflags", "--libs", "matrix", env=env))
    run("cc", "-std=c11", EXAMPLES / "room_list.c", "-o", target, *flags, *options)


def lua_environment(installed: Installed, member: Member, ca_file: str = "") -> dict[str, str]:
    """What a Lua program needs to find the module in the unpacked archive."""
    module = installed.inside(installed.prefix / "lib/lua/5.4/?.so")
    return {"LUA_CPATH": module, **member.environment(ca_file)}


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def ca_file(request: pytest.FixtureRequest, installed: Installed, member: Member) -> str:
    """Where the private authority is inside the root; empty for no TLS."""
    if not request.param:
        return ""
    shutil.copyfile(member.server.ca_file, installed.root / CA_FILE[1:])
    return CA_FILE


def test_a_c_program_runs(installed: Installed, member: Member, ca_file: str) -> None:
    program = installed.prefix / "bin/room_list"
    program.parent.mkdir()
    compile_program(installed.prefix / "lib/pkgconfig", program, "-Wl,-rpath,$ORIGIN/../lib")
    environment = member.environment(ca_file)
    member.check(empty_root.run(installed.root, installed.inside(program), env=environment))


def test_a_lua_program_runs(installed: Installed, member: Member, ca_file: str) -> None:
    shutil.copyfile(EXAMPLES / "room_list.lua", installed.root / "tmp/room_list.lua")
    environment = lua_environment(installed, member, ca_file)
    member.check(
        empty_root.run(installed.root, "/usr/bin/lua5.4", "/tmp/room_list.lua", env=environment)
    )


def test_a_fennel_program_runs(installed: Installed, member: Member) -> None:
    shutil.copyfile(EXAMPLES / "room_list.fnl", installed.root / "tmp/room_list.fnl")
    start = 'require("matrix").fennel().dofile("/tmp/room_list.fnl")'
    environment = lua_environment(installed, member)
    member.check(empty_root.run(installed.root, "/usr/bin/lua5.4", "-e", start, env=environment))


def test_an_unknown_authority_is_refused(installed: Installed, member: Member) -> None:
    shutil.copyfile(EXAMPLES / "room_list.lua", installed.root / "tmp/room_list.lua")
    environment = lua_environment(installed, member)
    environment["MATRIX_HOMESERVER"] = member.server.tls_url
    done = empty_root.run(installed.root, "/usr/bin/lua5.4", "/tmp/room_list.lua", env=environment)
    assert done.returncode == 1
    assert "E_TLS" in done.stderr


def test_the_openssl_of_the_machine_stays_out(
    unpacked: Path, member: Member, tmp_path: Path
) -> None:
    """OpenSSL's configuration may name modules that bring another libcrypto into the process."""
    (tmp_path / "openssl.cnf").write_text(OPENSSL_CONFIGURATION)
    show = "for line in io.lines('/proc/self/maps') do io.stderr:write(line, '\\n') end"
    done = subprocess.run(
        ["lua5.4", "-e", f"dofile('{EXAMPLES}/room_list.lua') {show}"],
        env={
            "LUA_CPATH": str(unpacked / "lib/lua/5.4/?.so"),
            "OPENSSL_CONF": str(tmp_path / "openssl.cnf"),
            **member.environment(member.server.ca_file),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    mapped = {line.split(maxsplit=5)[5] for line in done.stderr.splitlines() if "crypto.so" in line}
    assert mapped == {str(unpacked / "lib/libmatrix/lib/libmatrix-crypto.so.3")}


def test_the_deb_is_found_by_lua_and_the_loader(
    packages: Packages, archive: Path, member: Member, tmp_path: Path
) -> None:
    root = empty_root.unpack(archive, tmp_path / "root")
    run("dpkg-deb", "--extract", packages.deb, root)
    shutil.copyfile(EXAMPLES / "room_list.lua", root / "tmp/room_list.lua")
    environment = member.environment()
    member.check(empty_root.run(root, "/usr/bin/lua5.4", "/tmp/room_list.lua", env=environment))

    (pkgconfig,) = root.glob("usr/lib/*/pkgconfig")
    compile_program(pkgconfig, root / "usr/bin/room_list")
    member.check(empty_root.run(root, "/usr/bin/room_list", env=environment))
