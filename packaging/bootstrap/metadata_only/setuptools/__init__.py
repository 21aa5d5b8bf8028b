"""Stands in for setuptools while a source archive is downloaded; see `archives.py`."""
