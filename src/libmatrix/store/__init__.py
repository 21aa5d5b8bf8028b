"""The one SQLite file of a client, its lock, and what is sealed in it."""
