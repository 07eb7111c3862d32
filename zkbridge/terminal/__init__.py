"""One conversation with one terminal, in our words and our errors."""
