"""Who is to be on a terminal: the document that says so, and what it means for the users who are there."""
