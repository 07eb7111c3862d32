"""What happens in the daemon and how it stands, as values."""
