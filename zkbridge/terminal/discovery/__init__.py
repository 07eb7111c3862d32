"""Find terminals in a network, and ask each what it is."""
