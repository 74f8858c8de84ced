"""Acme Imaging in Flask, protected by the guard: docs/guides/protect-a-flask-api.md says how to run it beside the demo."""
