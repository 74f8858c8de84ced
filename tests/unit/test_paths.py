"""Paths and metadata: what is published is where it answers, and nothing is left to a default that would be a lie."""

from __future__ import annotations

from typing import Any

import pytest

from gatewright.oauth.catalogue import Api, Catalogue, Scope
from gatewright.oauth.client_auth import METHODS
from gatewright.oauth.grant_types import OFFERED
from gatewright.oauth.issuer import Issuer, PathPreset, Policy
from gatewright.oauth.metadata import document
from gatewright.oauth.paths import PATHS, published, url_of, urls_of

HERE = "https://id.acme.test"
CATALOGUE = Catalogue([Api(id=1, audience="https://bank.acme.test", name="Bank")], [Scope(99, "read:balance", 1, "See it")], [])


def an_issuer(*paths: PathPreset) -> Issuer:
    return Issuer(url=HERE, tenant=1, host="id.acme.test", policy=Policy(), paths=paths or ("standard",))


def told(*paths: PathPreset) -> dict[str, Any]:
    return dict(document(an_issuer(*paths), CATALOGUE))


def test_every_preset_has_every_endpoint() -> None:
    assert len({frozenset(paths) for paths in PATHS.values()}) == 1


def test_no_path_leads_to_two_endpoints() -> None:
    for one in PATHS.values():
        for other in PATHS.values():
            for name, places in one.items():
                others = {place for endpoint, found in other.items() if endpoint != name for place in found}
                assert not others & set(places)


def test_an_old_path_answers_with_and_without_its_last_slash() -> None:
    assert PATHS["o"]["token"] == ("/o/token/", "/o/token")
    assert PATHS["o"]["revoke"] == ("/o/revoke_token/", "/o/revoke_token")


@pytest.mark.parametrize(
    ("paths", "authorize"),
    [
        (("standard",), "/authorize"),
        (("o", "standard"), "/authorize"),
        (("o",), "/o/authorize/"),
        (("oauth", "o"), "/oauth/authorize"),
    ],
)
def test_the_standard_paths_are_published_where_they_are_on_else_the_first(paths: tuple[PathPreset, ...], authorize: str) -> None:
    assert told(*paths)["authorization_endpoint"] == HERE + authorize


def test_every_published_address_is_one_that_answers() -> None:
    for preset in PATHS:
        issuer = an_issuer(preset)
        assert published(issuer.paths) == preset
        known = {HERE + place for places in PATHS[preset].values() for place in places}
        addresses = {value for name, value in told(preset).items() if name.endswith(("_endpoint", "_uri"))}
        assert addresses <= known
        assert len(addresses) == 8
        assert url_of(issuer, "token") in urls_of(issuer, "token")


def test_both_documents_are_at_the_address_of_their_standard() -> None:
    assert PATHS["standard"]["metadata"] == ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")


def test_what_would_default_to_a_lie_is_said() -> None:
    found = told()
    assert found["issuer"] == HERE
    for absent_means_true in ("request_uri_parameter_supported",):
        assert found[absent_means_true] is False
    assert found["request_parameter_supported"] is False
    assert found["require_request_uri_registration"] is False
    assert found["claims_parameter_supported"] is True
    assert found["authorization_response_iss_parameter_supported"] is True
    assert "implicit" not in found["grant_types_supported"]
    assert found["response_modes_supported"] == ("query", "form_post")
    assert found["code_challenge_methods_supported"] == ("S256",)
    assert "RS256" in found["id_token_signing_alg_values_supported"]


def test_the_lists_come_from_the_tables_that_do_the_work() -> None:
    found = told()
    assert tuple(found["grant_types_supported"]) == OFFERED
    assert "password" not in found["grant_types_supported"], "an exception is no offer"
    assert {method.NAME for method in METHODS} - {"secret"} <= set(found["token_endpoint_auth_methods_supported"])
    assert "none" not in found["introspection_endpoint_auth_methods_supported"]
    assert found["scopes_supported"] == ["openid", "profile", "email", "address", "phone", "offline_access", "read:balance"]
    assert "none" not in found["token_endpoint_auth_signing_alg_values_supported"]


def test_no_list_is_empty() -> None:
    # RFC 8414 §3.2: members without an element must be left out.
    assert all(value for value in told().values() if not isinstance(value, bool))
