"""Syncs: asking, reading the answer, handing it over, committing it."""
