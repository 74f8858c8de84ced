"""The opaque access token: opens where it was sealed, is keyed by its row, and stays short."""

import msgspec
import pytest

from gatewright.keys.root import RootKey
from gatewright.keys.sealer import RootSealer
from gatewright.oauth import handle
from gatewright.oauth.handle import Handle
from gatewright.oauth.issuer import Issuer
from tests.support.builders import AUTHORIZATION, TENANT, a_standing, an_issuer
from tests.support.clock import NOON, TestClock

SEALER = RootSealer(RootKey(bytes(range(32))))
ISSUER = an_issuer()
SECRET = a_standing().access_secret
BIG = (1 << 63) - 1


def a_handle(**changed: object) -> Handle:
    at = TestClock().moment()
    plain = Handle(AUTHORIZATION, handle.new_jti(at), 101, NOON, NOON + 7200, 0)
    return msgspec.structs.replace(plain, **changed)


def sealed(one: Handle, secret: str = SECRET) -> str:
    return handle.seal(one, secret, ISSUER, SEALER, TestClock().moment())


@pytest.mark.parametrize(
    "one",
    [
        a_handle(),
        a_handle(cnf=bytes(range(32))),
        a_handle(act=77),
        a_handle(cnf=bytes(32), act=0),
        a_handle(named=b"\0\1"),
        a_handle(named=b"\xff" * handle.room()),
        a_handle(cnf=bytes(32), named=b"\xff" * handle.room(bound=True)),
        a_handle(
            authorization=BIG,
            api=BIG,
            exp=NOON + 86400,
            epoch=(1 << 32) - 1,
            cnf=b"\xff" * 32,
            act=BIG,
            named=b"\xff" * handle.room(bound=True, acting=True),
        ),
    ],
)
def test_a_handle_comes_back_as_it_was(one: Handle) -> None:
    text = sealed(one)
    back = handle.open_handle(text, ISSUER, SEALER, NOON)
    assert back is not None
    assert msgspec.structs.replace(back, signed=b"", mac=b"") == one
    assert handle.authentic(back, a_standing())
    assert len(text) <= 200


@pytest.mark.parametrize(
    "issuer", [an_issuer("https://other.acme.test"), an_issuer(tenant=TENANT + 1)], ids=["another issuer", "another tenant"]
)
def test_a_handle_is_unknown_elsewhere(issuer: Issuer) -> None:
    assert handle.open_handle(sealed(a_handle()), issuer, SEALER, NOON) is None


class Counting(RootSealer):
    """A sealer that counts what it opens."""

    def __init__(self) -> None:
        super().__init__(RootKey(bytes(range(32))))
        self.opened = 0

    def unseal(self, tenant: int, issuer: str, sealed: bytes, *, now: int, days: int = 2) -> bytes | None:
        self.opened += 1
        return super().unseal(tenant, issuer, sealed, now=now, days=days)


def test_a_handle_that_was_opened_is_known_again() -> None:
    sealer, text = Counting(), sealed(a_handle())
    first = handle.open_handle(text, ISSUER, sealer, NOON)
    assert first is not None
    assert handle.open_handle(text, ISSUER, sealer, NOON + 7199) == first
    assert sealer.opened == 1
    for other in (an_issuer("https://other.acme.test"), an_issuer(tenant=TENANT + 1)):
        assert handle.open_handle(text, other, sealer, NOON) is None
    assert handle.open_handle(text + "A", ISSUER, sealer, NOON) is None
    assert handle.open_handle(text, ISSUER, RootSealer(RootKey(bytes(32))), NOON) is None, "what one sealer opened is no other's"


def test_out_of_its_time_a_handle_is_opened_anew_so_that_the_key_of_its_day_counts() -> None:
    sealer, text = Counting(), sealed(a_handle())
    assert handle.open_handle(text, ISSUER, sealer, NOON) is not None
    for now, opens in ((NOON + 7200, True), (NOON + 2 * 86400, True), (NOON + 3 * 86400, False), (NOON - 2 * 86400, False)):
        assert (handle.open_handle(text, ISSUER, sealer, now) is not None) is opens, now
    assert sealer.opened == 5


def test_a_handle_that_lives_longer_than_its_key_is_never_known_again() -> None:
    sealer, text = Counting(), sealed(a_handle(exp=NOON + handle.LONGEST + 1))
    for _ in range(2):
        assert handle.open_handle(text, ISSUER, sealer, NOON) is not None
    assert sealer.opened == 2


def test_what_is_known_again_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handle, "_KEPT", 3)
    sealer, texts = Counting(), [sealed(a_handle(authorization=number)) for number in range(10)]
    for text in texts * 2:
        assert handle.open_handle(text, ISSUER, sealer, NOON) is not None
    assert sealer.opened == 20


@pytest.mark.parametrize("change", [lambda text: text[4:], lambda text: "gwr_" + text[4:], lambda text: text + "A", lambda text: text[:-1]])
def test_a_text_that_is_not_the_one_sealed_is_no_handle(change: object) -> None:
    assert callable(change)
    assert handle.open_handle(change(sealed(a_handle())), ISSUER, SEALER, NOON) is None


@pytest.mark.parametrize("text", ["", "gwa_", "gwa_AAAA", "gwa_" + "A" * 200, "gwa_ä", "gwa_a b"])
def test_nonsense_is_no_handle(text: str) -> None:
    assert handle.open_handle(text, ISSUER, SEALER, NOON) is None


def test_who_has_the_sealing_key_alone_makes_no_handle() -> None:
    forged = handle.open_handle(sealed(a_handle(), "a guess"), ISSUER, SEALER, NOON)
    assert forged is not None
    assert not handle.authentic(forged, a_standing())


@pytest.mark.parametrize("field", ["authorization", "api", "iat", "exp", "epoch", "named"])
def test_every_field_is_under_the_rows_own_secret(field: str) -> None:
    right = handle.pack(a_handle(), SECRET)
    wrong = handle.pack(a_handle(**{field: b"\0\1" if field == "named" else getattr(a_handle(), field) + 1}), "another secret")
    mixed = handle.unpack(wrong[:-16] + right[-16:])
    assert mixed is not None
    assert not handle.authentic(mixed, a_standing())


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        bytes(16),
        bytes(56),
        bytes(58),
        bytes(40) + b"\x08" + bytes(16),
        bytes(40) + b"\x01" + bytes(16),
        bytes(40) + b"\x04" + bytes(16),
    ],
)
def test_bytes_of_another_shape_are_no_handle(plain: bytes) -> None:
    assert handle.unpack(plain) is None


@pytest.mark.parametrize("wrong", [{"jti": "short"}, {"jti": "????????????????"}, {"cnf": b"short"}])
def test_a_handle_of_another_shape_is_never_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="holds a jti"):
        handle.pack(a_handle(**wrong), SECRET)


def test_a_token_that_lives_until_revoked_is_known_by_its_digest_alone() -> None:
    at = TestClock().moment()
    text, digest = handle.new_standing_token(AUTHORIZATION, TENANT, at)
    other, _ = handle.new_standing_token(AUTHORIZATION, TENANT, at)
    row = a_standing(standing_digest=digest)
    assert handle.is_standing_token(text, row)
    assert not handle.is_standing_token(other, row)
    assert not handle.is_standing_token(text, a_standing(standing_digest=digest, tenant=TENANT + 1))
    assert not handle.is_standing_token(text, a_standing())
    assert text not in digest
