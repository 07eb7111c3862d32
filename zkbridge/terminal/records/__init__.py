"""Users, templates and punches as the terminal's bytes."""
