"""What every command is made of: its parameters and their rules, its declaration, what it is given, lists in parts."""
