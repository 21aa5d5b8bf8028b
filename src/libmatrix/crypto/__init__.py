"""Encryption: what one device and its user prove, keep secret and share."""
