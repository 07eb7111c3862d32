"""Live punches and the attendance log, each punch published once."""
