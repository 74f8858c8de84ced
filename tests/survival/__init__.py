"""Servers that are killed, cut off, stopped and started again under load: what was acknowledged is there, and is there once."""
