"""A person at a browser without script, for tests over HTTP: follows redirects, reads the pages' forms, fills them in and sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_STEPS = 15


@dataclass(slots=True)
class Control:
    """One field or button of a form, with the text that a person reads beside it."""

    kind: str
    name: str
    value: str
    checked: bool = False
    label: str = ""


@dataclass(slots=True)
class Form:
    """A form of a page."""

    action: str
    method: str
    controls: list[Control] = field(default_factory=list)

    def named(self, name: str) -> list[Control]:
        """Return the controls of a name."""
        return [one for one in self.controls if one.name == name]

    def has(self, name: str, *values: str) -> bool:
        """Tell whether there is a control of this name, with one of these values if any is given."""
        return any(not values or one.value in values for one in self.named(name))

    def filled(self, given: Mapping[str, str | Sequence[str]]) -> list[tuple[str, str]]:
        """Return what a browser sends: what is given, and for all other names what the page holds."""
        sent: list[tuple[str, str]] = []
        for one in self.controls:
            ticked = one.checked or one.kind not in ("checkbox", "radio")
            if one.name and one.name not in given and one.kind != "submit" and ticked:
                sent.append((one.name, one.value))
        for name, value in given.items():
            sent += [(name, text) for text in ([value] if isinstance(value, str) else value)]
        return sent


class Page(HTMLParser):
    """A page's forms, heading and alert."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.heading = ""
        self.text = ""
        self._labelled: list[Control] | None = None
        self._inside: list[str] = []
        self._ids: dict[str, Control] = {}
        self._label = ""
        self.feed(text)
        self.heading, self.text = " ".join(self.heading.split()), " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").lower()))
        elif tag in ("input", "button") and self.forms:
            self._control(tag, given)
        elif tag == "label":
            self._labelled, self._label = [], ""
            self._labelled += [self._ids[name] for name in (given.get("for"),) if name in self._ids]
        if tag in ("h1", "style", "script", "svg"):
            self._inside.append(tag)

    def _control(self, tag: str, given: dict[str, str]) -> None:
        kind = given.get("type", "submit" if tag == "button" else "text")
        default = "on" if kind in ("checkbox", "radio") else ""
        one = Control(kind, given.get("name", ""), given.get("value", default), "checked" in given)
        self.forms[-1].controls.append(one)
        if "id" in given:
            self._ids[given["id"]] = one
        if self._labelled is not None:
            self._labelled.append(one)

    def handle_endtag(self, tag: str) -> None:
        if tag == "label" and self._labelled is not None:
            for one in self._labelled:
                one.label = " ".join(self._label.split())
            self._labelled = None
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] != "h1":
            return
        if "h1" in self._inside:
            self.heading += data
        if self._labelled is not None:
            self._label += data + " "
        self.text += data + " "


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where the browser was sent in the end: the app's address, with what it was told."""

    url: str
    params: Mapping[str, str]
    posted: bool = False

    @property
    def full(self) -> str:
        """The whole address as the app's server would see it; what was posted stands in the query."""
        return f"{self.url}?{urlencode(self.params)}"


@dataclass(slots=True)
class Visitor:
    """Somebody with a password and a way to answer what is asked. `seen` holds the heading of each page shown."""

    http: httpx.Client
    issuer: str
    username: str = "organizer@acme.test"
    password: str = "organizer-demo"
    account: str = "acme-dev"
    allow: bool = True
    untick: tuple[str, ...] = ()
    seen: list[str] = field(default_factory=list)

    def authorize(self, url: str, **params: str) -> Arrival:
        """Open an address as an app's redirect does and go on until an app is reached."""
        self.seen.clear()
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params)
        answer = self.http.get(url)
        for _ in range(_MOST_STEPS):
            if answer.status_code in _REDIRECTS:
                target = urljoin(f"{self.issuer}{answer.request.url.raw_path.decode()}", answer.headers["location"])
                if not target.startswith(f"{self.issuer}/"):
                    return arrival(target)
                answer = self.http.get(target.removeprefix(self.issuer))
                continue
            page = Page(answer.text)
            self.seen.append(page.heading)
            assert answer.status_code == httpx.codes.OK, f"{answer.status_code}: {page.text or answer.text}"
            form = self._form(page)
            if not form.action.startswith(("/", self.issuer)):
                fields = {one.name: one.value for one in form.controls if one.name}
                return Arrival(form.action, fields, posted=True)
            answer = self.send(answer, form, self.answers(form))
        raise AssertionError(f"no end in sight after {self.seen}")

    def let_in(self, url: str) -> str:
        """Open what a device shows and answer it; return the heading of the page where nothing is left to do."""
        self.seen.clear()
        answer = self.http.get(url.removeprefix(self.issuer))
        for _ in range(_MOST_STEPS):
            if answer.status_code in _REDIRECTS:
                answer = self.http.get(answer.headers["location"])
                continue
            page = Page(answer.text)
            self.seen.append(page.heading)
            assert answer.status_code == httpx.codes.OK, f"{answer.status_code}: {page.text or answer.text}"
            if not page.forms:
                return page.heading
            answer = self.send(answer, self._form(page), self.answers(page.forms[0]))
        raise AssertionError(f"no end in sight after {self.seen}")

    def _form(self, page: Page) -> Form:
        assert page.forms, f"a page with nothing to do: {page.text}"
        assert self.seen.count(page.heading) < 3, f"the same page again: {page.text}"
        return page.forms[0]

    def answers(self, form: Form) -> dict[str, str | list[str]]:
        """Return what this person fills in and presses."""
        if form.has("password"):
            return {"username": self.username, "password": self.password, "choice": "continue"}
        if form.has("account"):
            chosen = [one.value for one in form.named("account") if self.account in one.label.split()]
            assert chosen, f"{self.account} is not offered: {[one.label for one in form.named('account')]}"
            return {"account": chosen, "choice": "continue"}
        if form.has("shown"):
            ticked = [one.value for one in form.named("scope") if one.value not in self.untick]
            return {"scope": ticked, "choice": "allow" if self.allow else "deny"}
        assert form.has("choice", "continue"), f"nothing to press: {form}"
        return {"choice": "continue"}

    def send(self, page: httpx.Response, form: Form, given: Mapping[str, str | Sequence[str]]) -> httpx.Response:
        """Send a form as the browser that shows it does: to its action, from our own origin."""
        target = urljoin(page.request.url.raw_path.decode(), form.action.removeprefix(self.issuer))
        body = urlencode(form.filled(given))
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.issuer, "Sec-Fetch-Site": "same-origin"}
        return self.http.request(form.method, target, content=body, headers=headers)


def arrival(target: str) -> Arrival:
    """Return an app's address and what its query says."""
    parts = urlsplit(target)
    return Arrival(parts._replace(query="", fragment="").geturl(), dict(parse_qsl(parts.query, keep_blank_values=True)))
