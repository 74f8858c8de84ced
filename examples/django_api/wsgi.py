"""For servers that do not await: gunicorn --workers 4 --preload examples.django_api.wsgi:application."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django_api.settings")
application = get_wsgi_application()
