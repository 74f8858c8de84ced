"""A bank at the terminal: `login`, `balance`, `send` and `logout` for a person, `service` for a program that acts for itself.

GATEWRIGHT_ISSUER=https://id.acme.test BANK_URL=https://api.acme.test CLIENT_ID=bank-cli python -m examples.clients balance

With the demo: GATEWRIGHT_ISSUER=http://127.0.0.1:8600 BANK_URL=http://localhost:8611/acme-dev
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from gatewright_client import (
    ApiRefused,
    ClientFault,
    Problem,
    Prompt,
    Public,
    Secret,
    Server,
    SignInNeeded,
    TokenSource,
    raise_for_problem,
    sign_in,
)
from gatewright_client.files import FileStore
from gatewright_client.httpx import BearerAuth

SCOPE: Final = "read:balance transfer:funds"


class Bank:
    """What the commands work with."""

    def __init__(self) -> None:
        self.url = os.environ["BANK_URL"]
        self.audience = os.environ.get("BANK_AUDIENCE", "https://bank.acme.test")
        self.secret = os.environ.get("CLIENT_SECRET")
        client = os.environ["CLIENT_ID"]
        self.server = Server(os.environ["GATEWRIGHT_ISSUER"], Secret(client, self.secret) if self.secret else Public(client))
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        self.store = FileStore(config / "acme-bank" / "tokens.json")
        self.user = TokenSource.refreshing(self.server, self.store, resource=self.audience)

    def call(self, source: TokenSource, method: str, path: str) -> str:
        """Call the API; a refusal is raised with its reason."""
        with httpx.Client(base_url=self.url, auth=BearerAuth(source, self.url)) as api:
            answer = api.request(method, path)
        raise_for_problem(answer)
        return answer.raise_for_status().text


def login(bank: Bank) -> str:
    """Sign in on another device (RFC 8628)."""
    tokens = sign_in(bank.server, show, scope=SCOPE, resource=bank.audience)
    bank.user.adopt(tokens)
    return f"You are signed in, for: {tokens.scope or SCOPE}"


def show(prompt: Prompt) -> None:
    """Say where to go and what to type there."""
    print(f"Open {prompt.verification_uri} and enter the code {prompt.user_code}", flush=True)


def balance(bank: Bank) -> str:
    """Show the balance of whoever is signed in."""
    return bank.call(bank.user, "GET", "/balance")


def send(bank: Bank) -> str:
    """Send money."""
    return bank.call(bank.user, "POST", "/transfers")


def logout(bank: Bank) -> str:
    """Give the sign-in back, so that a copy of the file is worth nothing (RFC 7009), and forget it."""
    kept = bank.store.load()
    if kept is not None:
        bank.server.revoke(kept.refresh_token or kept.access_token)
    bank.store.forget()
    return "You are signed out."


def service(bank: Bank) -> str:
    """Show the balance that this program itself may see, without any user."""
    if bank.secret is None:
        raise KeyError("CLIENT_SECRET")
    return bank.call(TokenSource.client_credentials(bank.server, scope="read:balance", resource=bank.audience), "GET", "/balance")


COMMANDS: Final[dict[str, Callable[[Bank], str]]] = {
    "login": login,
    "balance": balance,
    "send": send,
    "logout": logout,
    "service": service,
}


def refusal(problem: Problem) -> str:
    """A refusal as a person reads it."""
    lines = [f"The bank said no ({problem.status}, {problem.cause}). {problem.detail}".rstrip()]
    lines += [f"Missing: {problem.missing_scope}"] if problem.missing_scope else []
    lines += [problem.what_to_do]
    lines += [f"Why: {problem.more}"] if problem.more else []
    return "\n".join(lines)


def main() -> None:
    """Run one command; every foreseen failure is a sentence."""
    parser = argparse.ArgumentParser(prog="python -m examples.clients", description="A bank at the terminal.")
    parser.add_argument("command", choices=COMMANDS)
    chosen = parser.parse_args().command
    try:
        print(COMMANDS[chosen](Bank()))
    except KeyError as missing:
        sys.exit(f"{missing.args[0]} is not set")
    except ApiRefused as fault:
        sys.exit(refusal(fault.problem))
    except SignInNeeded as fault:
        sys.exit(f"Sign in first: python -m examples.clients login ({fault})")
    except (ClientFault, httpx.HTTPError) as fault:
        sys.exit(f"That did not work: {fault}")


if __name__ == "__main__":
    main()
