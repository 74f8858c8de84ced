"""For servers that await: uvicorn examples.django_api.asgi:application."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django_api.settings")
application = get_asgi_application()
