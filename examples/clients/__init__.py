"""A program at the terminal that calls a bank: for a person who signs in elsewhere, and for itself. `python -m examples.clients`."""
