"""The code of the guides for Flask and Django runs as it stands there, beside a server on a real socket."""

import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.guard.cases import Call, bearing
from tests.guard.drivers import called
from tests.guard.makers import a_token, some_claims
from tests.guard.server import AServer, Listening
from tests.house.checkout import ROOT

# The guides' guards look at the real clock.
AT_ANY_TIME: Final[dict[str, Any]] = {"iat": 1, "exp": 2**40}


def programs(guide: str) -> dict[str, str]:
    """The programs of a guide by the names that they say."""
    text = (ROOT / "docs/guides" / guide).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(# (\w+)\.py\n.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return {name: program for program, name in blocks}


@pytest.fixture
def issuer() -> Iterator[str]:
    """The address of a server that knows two opaque tokens and signs with one key."""
    with Listening(AServer()) as running:
        url, server = running.url, running.server
        server.metadata = {"issuer": url, "jwks_uri": f"{url}/jwks", "introspection_endpoint": f"{url}/introspect"}
        server.tokens = {
            "gwa_reads": some_claims(iss=url, **AT_ANY_TIME, scope="read:balance"),
            "gwa_sends": some_claims(iss=url, **AT_ANY_TIME, scope="read:balance transfer:funds"),
        }
        yield url


def told(issuer: str) -> dict[str, str]:
    return {"ISSUER": issuer, "BANK_API_ID": "ap_1", "BANK_API_SECRET": "s"}


def test_the_programs_of_the_flask_guide_work(issuer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in told(issuer).items():
        monkeypatch.setenv(name, value)
    loaded: dict[str, Any] = {}
    for name, program in programs("protect-a-flask-api.md").items():
        module = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(program, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - the guide is ours
        loaded[name] = module
    with loaded["bank"].guard:
        the_bank_answers(partial(called, loaded["bank"].app), issuer)
        wrapped = partial(called, loaded["wrapped"].app)
        assert wrapped(Call("GET", "/balance", bearing("gwa_reads"))).status == 200
        assert wrapped(Call("GET", "/notes", bearing("gwa_reads"))).status == 403
        assert wrapped(Call("GET", "/health")).status == 404


def the_bank_answers(ask: Any, issuer: str) -> None:  # noqa: ANN401 - as `called`
    jwt = bearing(a_token(iss=issuer, **AT_ANY_TIME))
    assert ask(Call("GET", "/balance", jwt)).body.replace(b" ", b"").strip() == b'{"app":"budget-buddy","user":"us_1"}'
    assert ask(Call("GET", "/balance")).status == 401
    assert ask(Call("GET", "/accounts/acme-dev/balance", jwt)).status == 200
    assert ask(Call("GET", "/accounts/other/balance", jwt)).status == 403
    assert ask(Call("POST", "/transfers", jwt)).status == 403
    assert ask(Call("POST", "/transfers", bearing("gwa_sends"), query="amount=5")).body.strip() == b'{"sent":5}'
    assert b"transfer:large" in ask(Call("POST", "/transfers", bearing("gwa_sends"), query="amount=5000")).body
    assert ask(Call("GET", "/reports/latest", bearing("gwa_reads"))).status == 200
    assert ask(Call("GET", "/reports/latest")).status == 401
    assert ask(Call("GET", "/notes", bearing("gwa_reads"))).status == 200
    assert ask(Call("POST", "/notes", bearing("gwa_reads"))).status == 403


ASKS: Final = """
import django
from django.conf import settings
from django.core.management import call_command
from django.test import Client
django.setup()
call_command("check", fail_level="WARNING")
reads, sends = {"authorization": "Bearer gwa_reads"}, {"authorization": "Bearer gwa_sends"}
http = Client(enforce_csrf_checks=True)
def ask(method, path, headers={}):
    return http.generic(method, path, headers=headers)
assert ask("GET", "/balance").status_code == 401
assert ask("GET", "/balance", reads).json() == {"user": "us_1", "app": "budget-buddy"}
assert ask("GET", "/accounts/acme-dev/balance", reads).json() == {"user": "us_1", "account": "acme-dev"}
assert ask("GET", "/accounts/other/balance", reads).json()["cause"] == "wrong_account"
assert ask("POST", "/transfers?amount=5", reads).json()["missing_scope"] == "transfer:funds"
assert ask("POST", "/transfers?amount=5", sends).json() == {"sent": 5}
assert ask("POST", "/transfers?amount=5000", sends).json()["missing_scope"] == "transfer:large"
assert ask("GET", "/notes", reads).json() == {"of": "us_1", "for": "budget-buddy"}
assert ask("POST", "/notes", reads).json()["cause"] == "insufficient_scope"
assert ask("POST", "/notes", sends).status_code == 201
assert ask("DELETE", "/notes", sends).json()["cause"] == "no_rule"
assert ask("GET", "/.well-known/oauth-protected-resource").json()["scopes_supported"] == ["read:balance", "transfer:funds"]
print("all of it")
"""


def test_the_programs_of_the_django_guide_work(issuer: str, tmp_path: Path) -> None:
    found = programs("protect-a-django-api.md")
    found["settings"] += found.pop("more_settings") + 'SECRET_KEY = "x"\nROOT_URLCONF = "urls"\nALLOWED_HOSTS = ["testserver"]\n'
    for name, program in found.items():
        (tmp_path / f"{name}.py").write_text(program)
    environment = {**os.environ, **told(issuer), "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": f"{tmp_path}:{ROOT}/guard/src"}
    command = [sys.executable, "-W", "error", "-c", ASKS]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("all of it\n"), done.stdout + done.stderr


def test_the_guides_show_what_is_named_here() -> None:
    assert set(programs("protect-a-flask-api.md")) == {"bank", "reports", "wrapped"}
    assert set(programs("protect-a-django-api.md")) == {"settings", "views", "rest", "more_settings", "urls"}
