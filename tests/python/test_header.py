"""The header stands alone: C11 and C++17, all warnings errors, in every compiler there is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ("-Wall", "-Wextra", "-pedantic", "-Werror", f"-I{ROOT / 'ffi/include'}", "-fsyntax-only")
LANGUAGES = {
    "c11": ("gcc", "clang", "-xc"),
    "gnu2x": ("gcc", "clang", "-xc"),
    "c++17": ("g++", "clang++", "-xc++"),
    "c++20": ("g++", "clang++", "-xc++"),
}
COMPILERS = [
    (standard, compiler, language)
    for standard, (gcc, clang, language) in LANGUAGES.items()
    for compiler in (gcc, clang)
    if compiler == gcc or shutil.which(compiler)
]

# A host that uses some of everything; valid in C and in C++.
HOST = """
#include <matrix/matrix.h>

static void on_rooms(const matrix_reply *reply, void *user_data) {
    const matrix_value *rooms = matrix_value_get(matrix_reply_value(reply), "rooms");
    size_t *named = (size_t *)user_data;
    size_t index;

    if (!matrix_reply_ok(reply)) {
        const matrix_error *error = matrix_reply_error(reply);
        *named = error->status == MATRIX_E_NOT_LOGGED_IN && error->has_http_status ? 1 : 0;
        return;
    }
    for (index = 0; index < matrix_value_count(rooms); index++) {
        const matrix_room *room = matrix_reply_as_room(reply, matrix_value_at(rooms, index));
        if (room != NULL && room->membership == MATRIX_MEMBERSHIP_JOIN && room->name != NULL)
            *named += 1;
    }
}

int host(matrix_client client);
int host(matrix_client client) {
    matrix_map *options = matrix_map_new();
    matrix_request request = {0};
    size_t named = 0;
    matrix_status status = matrix_map_set_string(options, "membership", "join");

    if (status == MATRIX_OK)
        status = matrix_rooms(client, options, on_rooms, &named, &request);
    matrix_map_free(options);
    return status == MATRIX_OK && matrix_status_string(status) != NULL ? (int)named : (int)status;
}
"""


def compile_text(compiler: str, standard: str, language: str, text: str) -> str:
    """What the compiler says; "" when it is content."""
    command = [compiler, f"-std={standard}", *FLAGS, language, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr


@pytest.mark.parametrize(("standard", "compiler", "language"), COMPILERS)
def test_header_alone(standard: str, compiler: str, language: str) -> None:
    text = "#include <matrix/matrix.h>\n#include <matrix/matrix.h>\n"
    if language == "-xc":
        text += "int nothing_else;\n"
    assert compile_text(compiler, standard, language, text) == ""


@pytest.mark.parametrize(("standard", "compiler", "language"), COMPILERS)
def test_host_compiles(standard: str, compiler: str, language: str) -> None:
    assert compile_text(compiler, standard, language, HOST) == ""


@pytest.mark.parametrize("name", ["status", "records", "operations"])
def test_generated_header_says_what_to_include(name: str) -> None:
    said = compile_text("gcc", "c11", "-xc", f"#include <matrix/{name}.gen.h>\n")
    assert 'include <matrix/matrix.h>"' in said
