"""A browser without script in front of the gate: cookies, redirects on the tenant's own host, forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from gatewright.oauth.pkce import challenge_of
from tests.http.talk import FORM
from tests.support.approving import REDIRECTS, VERIFIER
from tests.support.house import ACME, ENVIRON, Answer, Node
from tests.support.visitor import Form, Page

CHALLENGE = challenge_of(VERIFIER)


def asking(
    client: str = "budget-buddy", scope: str = "openid email read:balance", *, more: Mapping[str, str | None] | None = None, **changed: str
) -> str:
    """The address to which an app sends its user; None leaves a parameter out."""
    params: dict[str, str | None] = {
        "client_id": client,
        "redirect_uri": REDIRECTS[client],
        "response_type": "code",
        "scope": scope,
        "state": "af0ifjsldkj",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changed,
        **(more or {}),
    }
    return "/authorize?" + urlencode([(name, value) for name, value in params.items() if value is not None])


@dataclass
class Window:
    """One browser; `seen` are all its answers."""

    node: Node
    host: str = ACME
    cookies: dict[str, str] = field(default_factory=dict)
    seen: list[Answer] = field(default_factory=list)

    async def send(self, method: str, target: str, body: bytes = b"", *headers: tuple[str, str]) -> Answer:
        """Send one request with the cookies that are there, and keep those that come."""
        told = [("cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))] if self.cookies else []
        answer = await self.node.ask(method, target, headers=[*told, *headers], body=body, host=self.host)
        self.seen.append(answer)
        for line in answer.every("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    async def open(self, target: str) -> Answer:
        """Open an address and follow redirects as long as they stay here."""
        return await self._follow(await self.send("GET", target))

    async def submit(self, answer: Answer, given: Mapping[str, str | Sequence[str]]) -> Answer:
        """Fill in the first form of a page and send it from our own origin."""
        form = form_of(answer)
        body = urlencode(form.filled(given)).encode()
        site = (("origin", f"https://{self.host}"), ("sec-fetch-site", "same-origin"))
        return await self._follow(await self.send(form.method.upper(), form.action, body, FORM, *site))

    async def _follow(self, answer: Answer) -> Answer:
        while answer.status == 303 and (answer.header("location") or "").startswith("/"):
            answer = await self.send("GET", answer.header("location") or "")
        return answer

    async def sign_in(self, answer: Answer, email: str = "ann@acme.test", password: str = ENVIRON["ANN_PASSWORD"]) -> Answer:
        """Type name and password."""
        return await self.submit(answer, {"username": email, "password": password, "choice": "continue"})

    async def allow_all(self, answer: Answer, account: str = "acme-dev") -> Answer:
        """Go through whatever is asked until the app is reached, saying yes."""
        while answer.status == 200 and (forms := Page(answer.text).forms) and forms[0].action.startswith("/"):
            form = forms[0]
            if form.has("account"):
                chosen = next(one.value for one in form.named("account") if account in one.label.split())
                answer = await self.submit(answer, {"account": chosen, "choice": "continue"})
            elif form.has("shown"):
                answer = await self.submit(answer, {"scope": [one.value for one in form.named("scope")], "choice": "allow"})
            else:
                answer = await self.submit(answer, {"choice": "continue"})
        return answer


def form_of(answer: Answer) -> Form:
    """The first form of a page."""
    return Page(answer.text).forms[0]
