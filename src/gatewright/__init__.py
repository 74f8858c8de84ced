"""Gatewright: an authorization server that lets a platform open its API to apps."""

__version__ = "0.1.0"
