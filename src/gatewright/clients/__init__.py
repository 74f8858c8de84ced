"""Registered clients: their settings, their secrets, and the registry that the token path asks."""
