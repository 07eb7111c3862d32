"""What a terminal holds and how it decides: its store, profile, rules and switches."""
