"""Carries out one terminal's requests in order, several in a session."""
