"""The Python that runs inside libmatrix: one asyncio loop on one thread of the host's process."""
