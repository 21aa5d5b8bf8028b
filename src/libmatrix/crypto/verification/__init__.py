"""Verification of devices and users: SAS and QR codes (client-server API, key verification)."""
