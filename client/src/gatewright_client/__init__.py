"""Calls an API as an OAuth 2.0 client: obtains tokens, renews and keeps them, puts them on, and explains refusals."""

__version__ = "0.1.0"
