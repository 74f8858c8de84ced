"""The settings: an API without a database, without sessions and without users of its own."""

from __future__ import annotations

import os
import secrets

ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
INSTALLED_APPS = ["rest_framework", "gatewright_guard.django.GuardConfig"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "gatewright_guard.django.GuardMiddleware"]
ROOT_URLCONF = "examples.django_api.urls"
# Nothing is signed with it; an application that has sessions keeps one.
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or secrets.token_urlsafe()

GATEWRIGHT = {
    "ISSUER": os.environ["GATEWRIGHT_ISSUER"],
    "AUDIENCE": "https://imaging.acme.test",
    "ALLOW": "examples.django_api.rules.may",
    "SCOPES": ["read:images", "delete:images"],
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["gatewright_guard.drf.Authentication"],
    "DEFAULT_PERMISSION_CLASSES": ["gatewright_guard.drf.HasScopes"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "gatewright_guard.drf.exception_handler",
    # There are no users in a table here, so nobody is an anonymous one.
    "UNAUTHENTICATED_USER": None,
}
