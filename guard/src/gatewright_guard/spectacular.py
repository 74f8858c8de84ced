"""The scopes of a Django REST framework API in its description, where drf-spectacular writes it; loaded by `GuardConfig`."""

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from gatewright_guard.drf import HasScopes

_SCHEME: Final = "gatewright"


class Scheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its base registers subclasses, untyped
    """The security scheme of `Authentication`, and what each operation needs of it (OpenAPI 3, Security Requirement Object)."""

    target_class = "gatewright_guard.drf.Authentication"
    name = _SCHEME

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        said = settings.GATEWRIGHT
        base, scopes = said["ISSUER"].rstrip("/"), said.get("SCOPES", ())
        texts = dict(scopes) if isinstance(scopes, Mapping) else dict.fromkeys(scopes, "")
        flow = {"authorizationUrl": f"{base}/authorize", "tokenUrl": f"{base}/token", "scopes": texts}
        return {"type": "oauth2", "flows": {"authorizationCode": flow}}

    def get_security_requirement(self, auto_schema: AutoSchema) -> dict[str, list[Any]]:
        view = auto_schema.view
        ours = [one for one in view.get_permissions() if isinstance(one, HasScopes)]
        needed = [requirement for one in ours if (requirement := one.needed(auto_schema.method, view)) is not None]
        return {_SCHEME: list(dict.fromkeys(scope for one in needed for scope in (*one.all_of, *one.any_of[:1])))}
