"""Refresh tokens: any that was issued is recognised, and the judgement of one depends on its place in the chain."""

from struct import pack

import pytest

from gatewright.base.digest import Kind, b64, unb64
from gatewright.keys.root import RootKey
from gatewright.keys.sealer import RootSealer
from gatewright.oauth import refresh
from gatewright.oauth.authorization import Redeemable
from gatewright.oauth.catalogue import OFFLINE_ACCESS, OPENID
from gatewright.oauth.client import Client
from gatewright.oauth.decision import Verdict
from gatewright.oauth.issuer import Policy
from gatewright.oauth.refresh import Judgement, Shown
from tests.support.builders import AUTHORIZATION, TENANT, a_client, a_standing
from tests.support.clock import NOON

SEALER = RootSealer(RootKey(bytes(range(32))))
POLICY = Policy()
CONFIDENTIAL = a_client()
PUBLIC = a_client(token_endpoint_auth_method="none")
DAY = 86400


@pytest.mark.parametrize("generation", [0, 1, 2, 7, (1 << 32) - 1])
def test_every_generation_is_recognised_without_being_stored(generation: int) -> None:
    row = a_standing(generation=3)
    shown = refresh.parse(refresh.make(row, generation, SEALER))
    assert shown is not None
    assert (shown.authorization, shown.generation) == (AUTHORIZATION, generation)
    assert refresh.prove(shown, row, SEALER)


def test_a_generation_has_one_text() -> None:
    assert refresh.make(a_standing(), 1, SEALER) == refresh.make(a_standing(generation=9), 1, SEALER)


@pytest.mark.parametrize(
    "row",
    [
        a_standing(tenant=TENANT + 1),
        a_standing(refresh_secret="another"),
        a_standing(refresh_secret=None),
        a_standing(id=AUTHORIZATION + 1),
    ],
    ids=["another tenant", "another secret", "no refresh", "another row"],
)
def test_a_token_proves_nothing_for_another_row(row: Redeemable) -> None:
    shown = refresh.parse(refresh.make(a_standing(), 0, SEALER))
    assert shown is not None
    assert not refresh.prove(shown, row, SEALER)


def test_a_token_proves_nothing_under_another_root_key() -> None:
    shown = refresh.parse(refresh.make(a_standing(), 0, SEALER))
    assert shown is not None
    assert not refresh.prove(shown, a_standing(), RootSealer(RootKey(bytes(32))))


def test_the_generation_cannot_be_exchanged() -> None:
    shown = refresh.parse(refresh.make(a_standing(), 4, SEALER))
    assert shown is not None
    assert not refresh.prove(Shown(shown.authorization, 5, shown.mac), a_standing(), SEALER)


def with_key_id(text: str, key_id: int) -> str:
    raw = unb64(text[4:])
    assert raw is not None
    return "gwr_" + b64(raw[:12] + key_id.to_bytes(2, "big") + raw[14:])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gwr_",
        "gwr_AAAA",
        "gwa_" + refresh.make(a_standing(), 0, SEALER)[4:],
        refresh.make(a_standing(), 0, SEALER) + "A",
        refresh.make(a_standing(), 0, SEALER)[:-1],
        with_key_id(refresh.make(a_standing(), 0, SEALER), 2),
        "gwr_" + b64(b"\xff" * 46),
    ],
)
def test_what_is_no_refresh_token_is_not_parsed(text: str) -> None:
    assert refresh.parse(text) is None


@pytest.mark.parametrize(
    ("shown", "row", "client", "judgement"),
    [
        (0, a_standing(), PUBLIC, Judgement.ROTATE),
        (5, a_standing(generation=5, rotated_at=NOON - DAY), PUBLIC, Judgement.ROTATE),
        (4, a_standing(generation=5, rotated_at=NOON), PUBLIC, Judgement.REPEAT),
        (4, a_standing(generation=5, rotated_at=NOON - 10), PUBLIC, Judgement.REPEAT),
        (4, a_standing(generation=5, rotated_at=NOON - 11), PUBLIC, Judgement.REUSE),
        (4, a_standing(generation=5, rotated_at=NOON - 11), CONFIDENTIAL, Judgement.REPEAT),
        (4, a_standing(generation=5, rotated_at=NOON - 600), CONFIDENTIAL, Judgement.REPEAT),
        (4, a_standing(generation=5, rotated_at=NOON - 601), CONFIDENTIAL, Judgement.REUSE),
        (3, a_standing(generation=5, rotated_at=NOON), CONFIDENTIAL, Judgement.REUSE),
        (0, a_standing(generation=5, rotated_at=NOON), PUBLIC, Judgement.REUSE),
        # The store was restored, and has forgotten rotations: what we made is no theft.
        (6, a_standing(generation=5, rotated_at=NOON), PUBLIC, Judgement.ROTATE),
        (9, a_standing(), PUBLIC, Judgement.ROTATE),
        # Another node's clock is ahead of ours: no age is below nothing.
        (4, a_standing(generation=5, rotated_at=NOON + 5), PUBLIC, Judgement.REPEAT),
    ],
)
def test_the_judgement_follows_the_place_in_the_chain(shown: int, row: Redeemable, client: Client, judgement: Judgement) -> None:
    assert refresh.judge(shown, row, client, NOON, POLICY) is judgement


def test_without_an_overlap_the_predecessor_is_reuse_at_once() -> None:
    row = a_standing(generation=1, rotated_at=NOON)
    assert refresh.judge(0, row, PUBLIC, NOON, Policy(overlap_public=0)) is Judgement.REUSE


@pytest.mark.parametrize(
    ("idle", "until", "over"),
    [(None, None, False), (NOON + 1, None, False), (NOON, None, True), (NOON + 1, NOON + 1, False), (NOON + 1, NOON, True)],
)
def test_a_chain_ends_by_idleness_or_by_age(idle: int | None, until: int | None, over: object) -> None:
    assert refresh.expired(a_standing(refresh_idle_until=idle, refresh_until=until), NOON) is over


def test_a_third_partys_chain_has_an_absolute_end_and_a_first_partys_has_none() -> None:
    third = refresh.terms(a_client(), frozenset(), POLICY, NOON)
    first = refresh.terms(a_client(party="first"), frozenset(), POLICY, NOON)
    assert (third.idle_until, third.until) == (NOON + 30 * DAY, NOON + 365 * DAY)
    assert (first.idle_until, first.until) == (NOON + 30 * DAY, None)


def test_the_clients_own_limits_come_first() -> None:
    found = refresh.terms(a_client(refresh_idle=60, refresh_absolute=600), frozenset(), POLICY, NOON)
    assert (found.idle_until, found.until) == (NOON + 60, NOON + 600)


@pytest.mark.parametrize(
    ("setting", "granted", "bound"),
    [("always", (OPENID,), False), ("offline", (OPENID,), True), ("offline", (OPENID, OFFLINE_ACCESS), False)],
)
def test_without_offline_access_the_chain_lasts_as_long_as_the_session(setting: str, granted: tuple[int, ...], bound: object) -> None:
    found = refresh.terms(a_client(refresh=setting), frozenset(granted), POLICY, NOON)
    assert found.issued
    assert found.session_bound is bound


def test_a_client_without_the_grant_type_gets_no_chain() -> None:
    found = refresh.terms(a_client(grant_types=("authorization_code",)), frozenset({OFFLINE_ACCESS}), POLICY, NOON)
    assert not found.issued
    assert found.idle_until is None


def test_a_row_outlives_its_last_token_by_the_replay_horizon() -> None:
    found = refresh.terms(a_client(), frozenset(), POLICY, NOON)
    assert found.idle_until is not None
    assert found.sweep_at >= found.idle_until + refresh.REPLAY_HORIZON


def test_an_id_that_no_row_can_have_makes_no_refresh_token() -> None:
    raw = pack(">QIH32s", 1 << 63, 0, 1, bytes(32))
    assert refresh.parse(Kind.REFRESH + b64(raw)) is None
    assert refresh.parse(Kind.REFRESH + b64(pack(">QIH32s", (1 << 63) - 1, 0, 1, bytes(32)))) is not None


@pytest.mark.parametrize(("until", "fault"), [(NOON + 1, None), (NOON, Verdict.TOKEN_REVOKED), (None, Verdict.TOKEN_REVOKED)])
def test_what_lasts_only_as_long_as_a_session_ends_when_that_has_run_out(until: int | None, fault: Verdict | None) -> None:
    assert a_standing(session_bound=1, session_until=until).fault(NOON) is fault
    assert a_standing(session_bound=0, session_until=until).fault(NOON) is None
