"""The switches of a terminal, by subject."""
