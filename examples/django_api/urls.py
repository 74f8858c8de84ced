"""The addresses."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from examples.django_api import views

router = SimpleRouter(trailing_slash=False)
router.register("reports", views.Reports, basename="report")

urlpatterns = [
    path("images", views.images),
    path("images/old", views.Old.as_view()),
    path("years", views.years),
    path("", include(router.urls)),
]
