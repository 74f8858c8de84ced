"""A shared secret, in the Authorization header or in the body (RFC 6749 §2.3.1). Which of the two is the client's setting."""

from __future__ import annotations

import hmac
from base64 import b64decode
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from gatewright.base.digest import Kind, digest, hmac_sha256, same
from gatewright.oauth.client_auth.presented import FAILED, Presented
from gatewright.oauth.errors import InvalidClient, InvalidRequest, TemporarilyUnavailable

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.ask import Ask
    from gatewright.oauth.client import Client, ClientSecret
    from gatewright.oauth.ports import World

NAME: Final = "secret"
BASIC: Final = "client_secret_basic"
POST: Final = "client_secret_post"

_LONGEST: Final = 1024  # characters: nobody hashes more for a stranger
_REMEMBERED: Final = 1024


def find(ask: Ask) -> Presented | None:
    """Return the secret that a request shows.

    Raises:
        InvalidRequest: it shows one in the header and one in the body (RFC 6749 §2.3: at most one method).
        InvalidClient: the header is no Basic credentials.
    """
    header, proof = ask.authorization, ask.params.get("client_secret")
    if header is not None and header[:6].lower() == "basic ":
        if proof is not None:
            raise InvalidRequest("the client secret was sent in the Authorization header and in the body: use one of them")
        return _basic(header[6:])
    if proof is None:
        return None
    return Presented(POST, ask.params.need("client_id"), proof)


def _basic(credentials: str) -> Presented:
    """Return decoded Basic credentials: form-encoded first, then joined (RFC 6749 §2.3.1, RFC 7617 §2)."""
    try:
        raw = b64decode(credentials.strip(), validate=True)
        # Many programs do not encode. Of an API's audience, which holds a colon, the secret then begins after the last one.
        name, _, proof = raw.rpartition(b":") if raw.startswith((b"https://", b"http://")) else raw.partition(b":")
        client_id, secret = _form_decoded(name), _form_decoded(proof)
    except ValueError:
        client_id = secret = ""
    if not client_id or not secret or "\0" in client_id:
        raise InvalidClient("the Authorization header holds no Basic credentials of a client", challenge=True)
    return Presented(BASIC, client_id, secret, header=True)


def _form_decoded(raw: bytes) -> str:
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode()


async def verify(client: Client, presented: Presented, ask: Ask, world: World) -> None:
    """Prove that the client knows one of its live secrets.

    Raises:
        InvalidClient: it does not.
    """
    if len(presented.proof) > _LONGEST:
        raise InvalidClient(FAILED, why="secret too long", challenge=presented.header)
    shown = digest(Kind.CLIENT_SECRET, client.tenant, presented.proof)
    live = [kept for kept in client.secrets if kept.expires_at is None or kept.expires_at > ask.at.now]
    # Every digest is compared, so that the time tells nothing of which one it was.
    matches = [kept.method == "sha256" and same(kept.digest, shown) for kept in live]
    if any(matches):
        world.usage.used(client.tenant, live[matches.index(True)].id, ask.address, ask.at.now)
        return
    for kept in live:
        if kept.method == "argon2id" and await _knows(kept, presented.proof, ask, world):
            world.usage.used(client.tenant, kept.id, ask.address, ask.at.now)
            return
    expired = len(live) < len(client.secrets)
    raise InvalidClient(FAILED, why="wrong secret, and an expired one exists" if expired else "wrong secret", challenge=presented.header)


class _LastGood:
    """Keyed digests of the slow secrets last proved in this process, so that not every request costs an argon2id hash."""

    def __init__(self) -> None:
        self._key = b""
        self._digests: dict[str, bytes] = {}

    def has(self, kept: ClientSecret, proof: str) -> bool:
        """Tell whether this was the secret when the slow digest was last asked."""
        known = self._digests.get(kept.digest)
        return known is not None and hmac.compare_digest(known, self._of(proof))

    def add(self, kept: ClientSecret, proof: str, at: Moment) -> None:
        """Remember a secret that the slow digest accepted. The key never leaves the process, nor does it outlive it."""
        if not self._key:
            self._key = at.dice.bytes(32)
        if len(self._digests) >= _REMEMBERED:
            self._digests.clear()
        self._digests[kept.digest] = self._of(proof)

    def _of(self, proof: str) -> bytes:
        return hmac_sha256(self._key, proof.encode())


_last_good: Final = _LastGood()


async def _knows(kept: ClientSecret, proof: str, ask: Ask, world: World) -> bool:
    """Tell whether this is the secret behind a slow digest; whoever guesses waits before anything is hashed (`security-rules` 63, 64)."""
    if _last_good.has(kept, proof):
        return True
    tenant, guesses = ask.issuer.tenant, world.guesses
    wait = await guesses.enter(tenant, kept.id, ask.address, ask.at)
    if wait:
        raise TemporarilyUnavailable(
            "too many attempts with a wrong client secret: try again later", retry_after=wait, why="guesses at a client secret are slowed"
        )
    try:
        good = await world.passwords.verify(kept.digest, proof)
    except TemporarilyUnavailable:
        await guesses.leave(tenant, kept.id, ask.address, right=False)
        raise
    if good:
        await guesses.leave(tenant, kept.id, ask.address, right=True)
        _last_good.add(kept, proof, ask.at)
    return good
