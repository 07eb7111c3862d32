"""A terminal at work: its power, its requests, its events and enrolments."""
