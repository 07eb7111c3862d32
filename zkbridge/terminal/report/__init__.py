"""A report of one terminal: what it answers, recorded frame by frame, with everything personal replaced."""
