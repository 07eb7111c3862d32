"""One terminal's requests in order, sharing sessions."""
