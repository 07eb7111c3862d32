"""What was asked, how far it got, what was answered: the only room that imports sqlite3."""
