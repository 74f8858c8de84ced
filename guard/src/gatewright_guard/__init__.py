"""Protects an API: verifies or introspects its callers' tokens, and says what is missing."""

__version__ = "0.1.0"
