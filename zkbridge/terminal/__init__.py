"""A session with one terminal, with the bridge's own types and errors."""
