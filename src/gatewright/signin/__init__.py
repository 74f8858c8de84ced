"""How a person comes in: the password, what slows guessing down, and the browser's session."""
