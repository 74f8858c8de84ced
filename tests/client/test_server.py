"""What the client believes of an authorization server, and how it proves who it is."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from gatewright_client.errors import Refused, Unavailable
from gatewright_client.private_key import es256
from gatewright_client.proof import ASSERTION_TYPE, Assertion, Proof, Public, Secret
from gatewright_client.server import Endpoints, Server, metadata_url
from gatewright_client.wire import MAX_ANSWER
from tests.client.places import METADATA, Answer, Asked, Issuer, Watch
from tests.support.running import ROOT

SERVICE = {"grant_type": "client_credentials"}


# ---------------------------------------------------------------- metadata


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://id.acme.test", "https://id.acme.test/.well-known/oauth-authorization-server"),
        ("https://id.acme.test/", "https://id.acme.test/.well-known/oauth-authorization-server"),
        ("https://id.acme.test/tenant1", "https://id.acme.test/.well-known/oauth-authorization-server/tenant1"),
    ],
)
@pytest.mark.proves("RFC 8414", "3.1")
def test_the_well_known_part_stands_before_an_issuers_path(issuer: str, url: str) -> None:
    assert metadata_url(issuer) == url


@pytest.mark.parametrize("said", ["{url}/", "https://id.acme.test", "{url}?x"])
@pytest.mark.proves("RFC 8414", "3.3")
def test_metadata_that_names_another_issuer_is_not_believed(issuer: Issuer, server: Server, said: str) -> None:
    issuer.more = {"issuer": said.format(url=issuer.url)}
    with pytest.raises(Unavailable, match="to the letter"):
        server.obtain(SERVICE)
    assert issuer.forms == []


@pytest.mark.parametrize("name", ["token_endpoint", "device_authorization_endpoint", "revocation_endpoint"])
@pytest.mark.parametrize("url", ["http://id.acme.test/x", "file:///x", "//id.acme.test", "https:///x"])
def test_an_address_that_is_not_safe_is_not_used(issuer: Issuer, server: Server, name: str, url: str) -> None:
    issuer.more = {name: url}
    with pytest.raises(Unavailable, match="not safe"):
        server.obtain(SERVICE)
    assert issuer.forms == []


@pytest.mark.parametrize("url", ["http://id.acme.test", "id.acme.test", "https://user:pass@id.acme.test"])
def test_an_issuer_that_is_not_safe_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="neither https nor http to this machine"):
        Server(url, Public("cli"))


def test_metadata_is_looked_up_once_an_hour_and_the_last_good_one_is_kept(issuer: Issuer, server: Server, watch: Watch) -> None:
    for _ in range(3):
        server.obtain(SERVICE)
    assert [asked.path for asked in issuer.place.asked].count(METADATA) == 1
    watch.now += 3601
    issuer.more = {"issuer": "https://somebody.test"}
    assert server.obtain(SERVICE).access_token == "access-4"
    assert [asked.path for asked in issuer.place.asked].count(METADATA) == 2


def test_addresses_that_are_given_are_not_looked_up(issuer: Issuer) -> None:
    with Server(issuer.url, Public("cli"), endpoints=Endpoints(token_endpoint=f"{issuer.url}/token")) as server:
        server.obtain(SERVICE)
    assert [asked.path for asked in issuer.place.asked] == ["/token"]


def test_a_server_that_has_only_the_document_of_openid_connect_is_found(issuer: Issuer) -> None:
    ordinary = issuer.place.answer

    def answer(asked: Asked) -> Answer:
        if asked.path == METADATA:
            return Answer(404, b"")
        return ordinary(replace(asked, path=METADATA if asked.path == "/.well-known/openid-configuration" else asked.path))

    issuer.place.answer = answer
    with Server(issuer.url, Public("cli")) as server:
        assert server.obtain(SERVICE).access_token == "access-1"
    assert [asked.path for asked in issuer.place.asked] == [METADATA, "/.well-known/openid-configuration", "/token"]


def test_no_issuer_at_an_address_is_a_question(issuer: Issuer) -> None:
    issuer.place.answer = lambda _: Answer(404, b"")
    with Server(issuer.url, Public("cli")) as server, pytest.raises(Unavailable, match="answered 404: is"):
        server.obtain(SERVICE)


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(302, b"", {"location": "/elsewhere"}), "answered 302"),
        (Answer(200, b"<html>"), "gave no token"),
        (Answer(200, [1]), "gave no token"),
        (Answer(200, {"token_type": "Bearer"}), "gave no token"),
        (Answer(200, {"access_token": "a", "token_type": "DPoP"}), "type 'DPoP'"),
        (Answer(200, {"access_token": "a\r\nX-Evil: 1", "token_type": "Bearer"}), "fits into no header"),
        (Answer(200, {"access_token": "a", "token_type": "Bearer", "expires_in": "soon"}), "gave no token"),
        (Answer(200, b" " * (MAX_ANSWER + 1)), "more than"),
        (Answer(200, b"{}", {"content-encoding": "gzip"}), "packed"),
        (Answer(500, b"<html>"), "answered 500"),
        (Answer(400, {"error": 7}), "answered 400"),
        (Answer(0), "cannot be reached"),
    ],
)
def test_what_is_no_answer_gives_no_token(issuer: Issuer, server: Server, answer: Answer, why: str) -> None:
    issuer.script = [answer]
    with pytest.raises(Unavailable, match=why) as fault:
        server.obtain(SERVICE)
    assert fault.value.answered == (0 < answer.status < 500)
    assert len(issuer.forms) == 1


@pytest.mark.parametrize(("said", "life"), [(60, 60), ("60", 60), (0, 0), (-5, 0), (60.5, 60.5), (None, None)])
def test_the_end_of_a_token_is_counted_from_our_clock(
    issuer: Issuer, server: Server, watch: Watch, said: float, life: float | None
) -> None:
    issuer.script = [Answer(200, {"access_token": "a", "token_type": "bearer", "expires_in": said})]
    assert server.obtain(SERVICE).expires_at == (None if life is None else watch.now + life)


@pytest.mark.parametrize(("status", "error", "temporary"), [(400, "invalid_scope", False), (503, "temporarily_unavailable", True)])
@pytest.mark.proves("RFC 6749", "5.2")
def test_a_refusal_keeps_its_code(issuer: Issuer, server: Server, status: int, error: str, temporary: bool) -> None:
    issuer.script = [Answer(status, {"error": error, "error_description": "Because."})]
    with pytest.raises(Refused, match=f"^{error}: Because.$") as fault:
        server.obtain(SERVICE)
    assert (fault.value.error, fault.value.description, fault.value.status) == (error, "Because.", status)
    assert fault.value.temporary is temporary


def test_a_token_is_given_back_where_the_server_takes_it(issuer: Issuer, server: Server) -> None:
    with pytest.raises(Unavailable, match="takes no tokens back"):
        server.revoke("a")
    issuer.more = {"revocation_endpoint": f"{issuer.url}/revoke"}
    issuer.script = [Answer(200, b""), Answer(401, {"error": "invalid_client"})]
    with Server(issuer.url, Public("cli")) as other:
        other.revoke("a")
        assert issuer.place.asked[-1].form == {"token": "a", "client_id": "cli"}
        with pytest.raises(Refused, match="invalid_client"):
            other.revoke("a")


# ---------------------------------------------------------------- proofs


def sent(issuer: Issuer, proof: Proof, watch: Watch) -> tuple[dict[str, str], Mapping[str, str]]:
    with Server(issuer.url, proof, clock=watch) as server:
        server.obtain(SERVICE)
    return issuer.forms[-1], issuer.place.asked[-1].headers


@pytest.mark.proves("RFC 6749", "2.3.1")
def test_a_secret_goes_into_the_header_encoded_twice(issuer: Issuer, watch: Watch) -> None:
    form, headers = sent(issuer, Secret("re ports", "a:b%c+ü"), watch)
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"re+ports:a%3Ab%25c%2B%C3%BC"
    assert form == SERVICE


def test_a_secret_goes_into_the_body_where_that_is_wanted(issuer: Issuer, watch: Watch) -> None:
    form, headers = sent(issuer, Secret("reports", "a:b", method="client_secret_post"), watch)
    assert form == SERVICE | {"client_id": "reports", "client_secret": "a:b"}
    assert "authorization" not in headers


def test_an_empty_secret_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="is empty"):
        Secret("reports", "")


@pytest.mark.proves("RFC 7523", "3")
def test_an_assertion_is_for_one_server_and_once(issuer: Issuer, watch: Watch) -> None:
    key = generate_private_key(SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    proof = Assertion("reports", es256(pem.decode(), "word"), kid="k1")
    seen = set()
    for _ in range(2):
        form, _ = sent(issuer, proof, watch)
        assert (form["client_assertion_type"], form["client_id"]) == (ASSERTION_TYPE, "reports")
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        opened = jwt.decode(form["client_assertion"], ECKey.import_key(public), algorithms=["ES256"])
        assert opened.header == {"alg": "ES256", "typ": "client-authentication+jwt", "kid": "k1"}
        seen.add(opened.claims.pop("jti"))
        now = int(watch.now)
        assert opened.claims == {"iss": "reports", "sub": "reports", "aud": issuer.url, "iat": now, "exp": now + 60}
    assert len(seen) == 2


def test_a_key_of_another_kind_is_refused() -> None:
    pem = generate_private_key(SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="P-256"):
        es256(pem)


def test_a_program_needs_only_what_it_uses() -> None:
    # Neither requests, nor cryptography, nor locks of files: each is imported by the module that is named after its use.
    absent = "import sys; sys.modules.update(dict.fromkeys(['requests', 'cryptography', 'fcntl']))"
    asked = [sys.executable, "-c", f"{absent}; import gatewright_client, gatewright_client.httpx"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "client" / "src")}
    done = subprocess.run(asked, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
