"""Acme Imaging in Django, protected by the guard: docs/guides/protect-a-django-api.md says how to run it beside the demo."""
