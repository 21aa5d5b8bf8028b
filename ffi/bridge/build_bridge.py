"""Writes the C code between bridge.c and Python: `python build_bridge.py OUT.c`, or cffi's gen_src.

The module `_matrix_bridge` exists only inside bridge.so and is never imported from a file. Its
PyInit function stays hidden (ffi/bridge.map).
"""

from __future__ import annotations

import sys

from cffi import FFI

ffibuilder = FFI()

# What Python calls; calls.h has the same.
ffibuilder.cdef(
    """
    int matrix_bridge_request_fd(void);
    size_t matrix_bridge_take(const char **json);
    int matrix_bridge_post(const char *frames, size_t size);
    int matrix_bridge_is_full(uint64_t context);
    int matrix_bridge_is_tame(const char *text, size_t size);
    void matrix_bridge_ready(void);
    void matrix_bridge_failed(const char *code, const char *message);
    int matrix_bridge_stopping(void);
    void matrix_bridge_prepare_openssl(void);

    extern "Python+C" int matrix_bridge_run(int hosted);
    """
)
# Nothing is exported to hosts; this only makes cffi generate its start-up code.
ffibuilder.embedding_api("")
ffibuilder.embedding_init_code(
    """
    from _matrix_bridge import ffi, lib
    from libmatrix.native import bind

    bind(ffi, lib)
    """
)
# Handed on to cffi's writer, which would tell what it writes into.
ffibuilder.set_source("_matrix_bridge", '#include "calls.h"', compiler_verbose=0)

if __name__ == "__main__":
    ffibuilder.emit_c_code(sys.argv[1])
