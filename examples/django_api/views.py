"""Views that await and views that do not, a class, and a view set of Django REST framework."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.http import HttpRequest, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from gatewright_guard.django import caller_of, requires
from gatewright_guard.drf import requires as scopes

IMAGES: Final = ["mri-0001.dcm", "mri-0002.dcm", "mri-0003.dcm"]


@requires("read:images")
def images(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"images": IMAGES, "seen by": caller_of(request).client_id})


@requires("read:images")
async def years(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"years": [2024, 2025, 2026], "seen by": caller_of(request).client_id})


@method_decorator(requires("delete:images"), name="dispatch")
class Old(View):
    """What is older than six months."""

    def delete(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse({"done": "Deleted the images older than six months."})


class Reports(ViewSet):
    """The same in Django REST framework: by method, and for one action."""

    required_scopes: ClassVar = {"GET": ["read:images"], "POST": ["read:images", "delete:images"]}

    def list(self, request: Any) -> Response:  # noqa: ANN401 - the framework's own, or one that a test wraps
        return Response({"reports": [], "of": str(request.user)})

    def create(self, request: Any) -> Response:  # noqa: ANN401 - as above
        return Response({"done": "made"}, status=201)

    @action(detail=False, methods=["delete"], permission_classes=[scopes("delete:images")])
    def old(self, request: Any) -> Response:  # noqa: ANN401 - as above
        return Response({"done": "deleted"})
