"""Whose a domain is: what follows from each look at its record, and what nobody may claim."""

import pytest

from gatewright.tenants.ownership import (
    DAY,
    GRACE,
    HOUR,
    KEPT,
    QUIET,
    SILENCE,
    Next,
    Seen,
    Standing,
    above,
    after,
    claim_fault,
    proof,
    seen_in,
)
from gatewright.tenants.rules import parse_origin

NOW = 1_800_000_000
PRESENT, ABSENT, UNKNOWN = Seen.PRESENT, Seen.ABSENT, Seen.UNKNOWN


def claim(state: str = "verified", made: int = DAY, seen: int = HOUR, failing: int = 0, looked: int = HOUR) -> Standing:
    """A claim made, last seen, missing since and last looked for so many seconds ago; 0 is never."""
    return Standing(state, NOW - made, NOW - seen if seen else 0, NOW - failing if failing else 0, NOW - looked)  # type: ignore[arg-type]  # a state


@pytest.mark.parametrize(
    ("standing", "seen", "state"),
    [
        (claim("pending", seen=0), PRESENT, "verified"),
        (claim("pending", seen=0), ABSENT, "pending"),
        (claim("pending", seen=0), UNKNOWN, "pending"),
        (claim(), PRESENT, "verified"),
        (claim(), UNKNOWN, "verified"),  # one failure of the name system says nothing
        (claim(seen=QUIET), UNKNOWN, "failing"),
        (claim(seen=SILENCE - 1), UNKNOWN, "failing"),
        (claim(seen=SILENCE), UNKNOWN, "lost"),
        (claim(), ABSENT, "failing"),
        (claim("failing", failing=GRACE - 1), ABSENT, "failing"),
        (claim("failing", failing=GRACE), ABSENT, "lost"),
        (claim("failing", failing=GRACE), UNKNOWN, "failing"),  # the last look must say that it is missing
        (claim("failing", seen=GRACE + DAY), ABSENT, "failing"),  # silent for a week, missing for the first time
        (claim("failing", failing=GRACE), PRESENT, "verified"),
        (claim("lost", seen=SILENCE), ABSENT, "lost"),
        (claim("lost", seen=SILENCE), PRESENT, "verified"),
    ],
)
def test_what_follows_from_a_look(standing: Standing, seen: Seen, state: str) -> None:
    assert after(standing, seen, NOW).state == state


@pytest.mark.parametrize("seen", [ABSENT, UNKNOWN])
@pytest.mark.parametrize("state", ["verified", "failing"])
def test_no_single_look_switches_a_domain_off_that_was_seen_a_day_ago(state: str, seen: Seen) -> None:
    assert after(claim(state, seen=DAY), seen, NOW).state != "lost"


@pytest.mark.parametrize("seen", [ABSENT, UNKNOWN])
@pytest.mark.parametrize("away", [2 * DAY + 1, 31 * DAY, 400 * DAY])
def test_the_time_in_which_nobody_looked_is_no_silence(seen: Seen, away: int) -> None:
    first = after(claim(seen=away, looked=away), seen, NOW)
    assert first.state != "lost"
    again = after(Standing(first.state, NOW - DAY, first.seen_at, first.failing_since, NOW), seen, NOW + HOUR)
    assert again.state != "lost"
    missed = after(claim("failing", seen=away + HOUR, failing=away + 1, looked=away), ABSENT, NOW)
    assert missed.state == "failing", "missed once before the server stopped, and once after"
    assert after(claim("failing", seen=SILENCE - HOUR + away, looked=away), UNKNOWN, NOW).state == "failing"
    assert after(claim("failing", seen=SILENCE + away, looked=away), UNKNOWN, NOW).state == "lost"


def test_a_record_that_is_back_forgets_that_it_was_missing() -> None:
    assert after(claim("failing", failing=GRACE - 1), PRESENT, NOW) == Next("verified", NOW, 0, NOW + DAY)


def test_a_missing_record_is_looked_for_each_hour_and_counts_from_when_it_was_first_missed() -> None:
    first = after(claim(), ABSENT, NOW)
    assert (first.failing_since, first.check_at) == (NOW, NOW + HOUR)
    again = after(Standing("failing", 0, NOW - HOUR, NOW, NOW), ABSENT, NOW + HOUR)
    assert again.failing_since == NOW


@pytest.mark.parametrize(("age", "wait"), [(0, 60), (3600, 900), (DAY, 6 * HOUR), (KEPT - 1, 6 * HOUR)])
def test_an_awaited_record_is_looked_for_often_at_first(age: int, wait: int) -> None:
    assert after(claim("pending", made=age, seen=0), ABSENT, NOW).check_at == NOW + wait


def test_a_claim_that_nobody_proves_is_over_after_a_month_and_so_is_a_lost_one() -> None:
    assert after(claim("pending", made=KEPT, seen=0), ABSENT, NOW).over
    assert not after(claim("pending", made=KEPT - 1, seen=0), ABSENT, NOW).over
    assert after(claim("lost", seen=SILENCE + KEPT), ABSENT, NOW).over


class _Sealer:
    def mac(self, purpose: str, tenant: int, message: bytes) -> bytes:
        from gatewright.keys.root import RootKey
        from gatewright.keys.sealer import RootSealer

        return RootSealer(RootKey(bytes(32))).mac(purpose, tenant, message)


def test_the_proof_names_its_tenant_and_is_good_for_one_domain_of_it() -> None:
    sealer = _Sealer()
    made = {proof(sealer, tenant, host) for tenant in (1, 2) for host in ("a.test", "b.test")}  # type: ignore[arg-type]  # all that it asks
    assert len(made) == 4
    assert all(text.startswith("gatewright-domain=tn_0") for text in made)
    one = proof(sealer, 1, "a.test")  # type: ignore[arg-type]  # the same
    assert seen_in(("v=spf1 -all", f" {one} "), one) is PRESENT
    assert seen_in((one + "x", one[:-1], ""), one) is ABSENT
    assert seen_in((), one) is ABSENT


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("http://127.0.0.1:8600", "over https"),
        ("https://localhost", "over https"),
        ("https://203.0.113.7", "an address has no TXT record"),
        ("https://[2001:db8::1]", "an address has no TXT record"),
        ("https://id.acme.example:8443", "no port"),
        ("https://platform.example", "platform.example belongs to this deployment"),
        ("https://acme.platform.example", "platform.example belongs to this deployment"),
        ("https://co.uk", "co.uk is a public suffix"),
        ("https://github.io", "github.io is a public suffix"),
        ("https://com", "com is a public suffix"),
        ("https://intranet", "intranet is a public suffix"),
        ("https://" + ".".join(["a" * 59] * 4) + ".example", "too long"),
    ],
)
def test_what_nobody_may_claim(origin: str, words: str) -> None:
    assert words in (claim_fault(parse_origin(origin), ("platform.example",)) or "")


@pytest.mark.parametrize(
    "origin", ["https://id.acme.co.uk", "https://acme.github.io", "https://myplatform.example", "https://xn--bcher-kva.example"]
)
def test_what_anybody_may_claim(origin: str) -> None:
    assert claim_fault(parse_origin(origin), ("platform.example",)) is None


def test_the_names_above_a_host_come_nearest_first() -> None:
    assert list(above("a.b.c")) == ["b.c", "c"]
    assert list(above("c")) == []
