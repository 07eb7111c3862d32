"""Requests, their state and their answers on disk: the only package here that imports sqlite3."""
