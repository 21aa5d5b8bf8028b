"""The generator: from the list in ``ffi/api`` to every file named ``*.gen.*`` and ``*_gen.py``.

``python3 -m ffi.gen`` writes them, ``--check`` says which are out of date, ``--lint`` whether every
operation has its handler and its test.
"""
