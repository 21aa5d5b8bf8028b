"""A host that is Python itself: loads libmatrix by ctypes and lets it use this interpreter."""

from __future__ import annotations

import ctypes
import json
import sys


class Handle(ctypes.Structure):
    _fields_ = (("id", ctypes.c_uint64),)


def main(library: str) -> None:
    matrix = ctypes.CDLL(library)
    matrix.matrix_map_from_json.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p)
    matrix.matrix_create_client.argtypes = (Handle, ctypes.c_void_p, ctypes.c_void_p)
    matrix.matrix_list_parts.argtypes = (
        Handle,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    matrix.matrix_wait.argtypes = (Handle, ctypes.c_int, ctypes.c_void_p)
    matrix.matrix_reply_json.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    matrix.matrix_reply_json.restype = ctypes.c_char_p
    matrix.matrix_shutdown.argtypes = (Handle, ctypes.c_int)

    context, client, request = Handle(), Handle(), Handle()
    options, reply = ctypes.c_void_p(), ctypes.c_void_p()
    text = json.dumps({"homeserver": "http://127.0.0.1:9"}).encode()
    assert matrix.matrix_init(None, ctypes.byref(context)) == 0
    assert matrix.matrix_map_from_json(text, len(text), ctypes.byref(options)) == 0
    assert matrix.matrix_create_client(context, options, ctypes.byref(client)) == 0
    assert matrix.matrix_list_parts(client, None, None, None, ctypes.byref(request)) == 0
    assert matrix.matrix_wait(request, 60000, ctypes.byref(reply)) == 0
    parts = json.loads(matrix.matrix_reply_json(reply, None))
    version = {part["name"]: part["version"] for part in parts["parts"]}["python"]
    print("same interpreter:", version == sys.version.split()[0] and "libmatrix" in sys.modules)
    assert matrix.matrix_shutdown(context, -1) == 0


main(sys.argv[1])
