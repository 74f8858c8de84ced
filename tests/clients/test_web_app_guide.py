"""The guide's web app, as it stands there: a browser signs in through a running Gatewright, and a bank behind the guard answers."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest

from tests.client.deployment import BANK, bank, listening
from tests.support.platforms import acme
from tests.support.running import ROOT, Deployment, Node
from tests.support.visitor import Visitor

GUIDE: Final = (ROOT / "docs/guides/sign-users-in.md").read_text(encoding="utf-8")
PROGRAMS: Final = re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
(TABLES,) = re.findall(r"^```toml\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
# The same app as somebody else's: its users are asked.
ASKING: Final = "asking-web"
(_APP,) = re.findall(r"^\[\[clients\]\]\n.*", TABLES, re.DOTALL | re.MULTILINE)
_ASKS: Final = _APP.replace("acme-web", ASKING).replace('party                     = "first"', 'party                     = "third"')
SECRETS: Final = {
    "BANK_API_SECRET": "secret-of-the-api-0123456789abcdef",  # the bank's of `tests.client.deployment`
    "ACME_WEB_SECRET": "secret-of-the-web-app-0123456789abcdef",
    "PASSWORD": "organizer-demo",
}
HERE: Final = "http://localhost:5000"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A Gatewright with the tables of the guide, and nothing else that it knows of the app."""
    folder = tmp_path_factory.mktemp("web-app")
    deployment = Deployment(folder, secrets=SECRETS).prepare(acme({"acme-dev": [], "acme-prod": []}, TABLES + _ASKS))
    with deployment.serve() as node:
        yield node


@pytest.fixture(scope="module")
def bank_url(served: Node) -> Iterator[str]:
    with listening(bank(served.deployment.issuer, BANK)) as url:
        yield url


@dataclass(slots=True)
class Person:
    """Somebody at a browser: `app` holds the cookies of the app, `visitor` those of Gatewright."""

    app: Any
    web: Any
    visitor: Visitor

    def page(self, path: str = "/") -> str:
        answer = self.app.get(path, base_url=HERE)
        assert answer.status_code == httpx.codes.OK, answer.text
        return unescape(answer.text)

    def sign_in(self) -> Any:  # noqa: ANN401 - Flask's test client has its own answers
        """Press "Sign in", go to Gatewright, and come back with what it said."""
        away = self.app.get("/sign-in", base_url=HERE)
        back = self.visitor.authorize(away.headers["location"].removeprefix(self.visitor.issuer))
        assert back.url == f"{HERE}/callback"
        return self.app.get(back.full, base_url=HERE)

    @property
    def tokens(self) -> dict[str, Any]:
        (tokens,) = self.web.visits.values()
        assert isinstance(tokens, dict)
        return tokens


@pytest.fixture
def person(served: Node, bank_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    """Somebody who has not signed in yet, before the guide's app."""
    told = {"ISSUER": served.deployment.issuer, "BANK_URL": f"{bank_url}/", "SESSION_KEY": "a-key-for-cookies", **SECRETS}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    for name, text in PROGRAMS:
        module = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(text, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - the guide is ours
    web: Any = sys.modules["web"]
    with served.client() as http:
        yield Person(web.app.test_client(), web, Visitor(http, served.deployment.issuer))


def test_a_user_signs_in_and_the_api_answers(person: Person) -> None:
    assert "Sign in" in person.page()
    assert person.sign_in().headers["location"] == "/"
    page = person.page()
    assert "Hello An organizer" in page
    assert f"'user': '{person.tokens['userinfo']['sub']}', 'account': 'acme-dev'" in page
    assert not any("Allow" in heading for heading in person.visitor.seen), "a first party's users are not asked"


def test_no_token_reaches_the_browser(person: Person) -> None:
    person.sign_in()
    cookie = person.app.get_cookie("session").value
    assert not any(person.tokens[name] in cookie + person.page() for name in ("access_token", "refresh_token", "id_token"))


def test_a_token_whose_time_is_over_is_renewed_and_kept(person: Person) -> None:
    person.sign_in()
    before = dict(person.tokens)
    person.tokens["expires_at"] = 1
    assert "'account': 'acme-dev'" in person.page()
    after = person.tokens
    assert after["access_token"] != before["access_token"]
    assert after["refresh_token"] != before["refresh_token"]
    assert after["userinfo"] == before["userinfo"]


def test_who_signs_out_is_signed_out_at_the_server_too(person: Person) -> None:
    person.sign_in()
    tokens = dict(person.tokens)
    where = person.app.post("/sign-out", base_url=HERE).headers["location"]
    left = person.visitor.authorize(where.removeprefix(person.visitor.issuer))
    assert left.url == f"{HERE}/"
    assert person.visitor.seen == [], "with the ID token nobody is asked"
    assert "Sign in" in person.page()
    person.sign_in()
    assert person.visitor.seen[0] == "Sign in"
    assert person.web.acme.get("balance", token=tokens).ok, "the app's tokens are not the session's"
    sys.modules["goodbye"].revoke(tokens)
    with pytest.raises(person.web.OAuthError, match="invalid_grant"):
        person.web.acme.get("balance", token=tokens | {"expires_at": 1})


def test_who_says_no_reads_why_and_may_try_again(person: Person) -> None:
    person.web.acme.client_id, person.visitor.allow = ASKING, False
    refused = person.sign_in()
    assert refused.status_code == httpx.codes.BAD_REQUEST
    assert "Not signed in: " in refused.text
    assert 'href="/sign-in"' in refused.text
    assert person.web.visits == {}


def test_an_answer_that_nobody_here_asked_for_is_no_sign_in(person: Person) -> None:
    stranger = person.app.get("/callback?code=gwc_somebody-elses&state=guessed", base_url=HERE)
    assert stranger.status_code == httpx.codes.BAD_REQUEST
    assert person.web.visits == {}


@pytest.mark.parametrize("hidden", [0, 7], ids=["when it is renewed", "when the API refuses it"])
def test_who_lost_the_access_signs_in_again(served: Node, person: Person, hidden: int) -> None:
    person.sign_in()
    if hidden:
        person.tokens["access_token"] = person.tokens["access_token"][:-hidden]
    else:
        person.tokens["expires_at"] = 1
    served.deployment.gatewright("grants", "end", "--client", "acme-web", "--yes")
    assert "Your session is over" in person.page()
    assert person.web.visits == {}


def test_the_addresses_of_the_guide_are_those_that_it_registers() -> None:
    opened = urlsplit(re.search(r"open <(http://localhost:\d+)>", GUIDE)[1])  # type: ignore[index]  # it stands there, or this fails
    assert f'redirect_uris             = ["{opened.geturl()}/callback"]' in TABLES
    assert f'post_logout_redirect_uris = ["{opened.geturl()}/"]' in TABLES
    assert f"--port {opened.port}\n" in GUIDE
