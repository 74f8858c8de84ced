"""What an API asks beyond a scope: a hierarchy of scopes, a role, a newer sign-in, a rule of its own."""

import json
from typing import Any

import pytest

from gatewright_guard.decide import Allowed, Refusal, Requirement, needs
from gatewright_guard.guard import Request, Verdict
from gatewright_guard.reasons import Reason
from tests.guard.makers import NOW, a_token, some_claims
from tests.guard.server import AServer

BALANCE = needs("read:balance")


async def asked(requirement: Requirement, claims: dict[str, Any], **settings: Any) -> Allowed | Refusal:  # noqa: ANN401 - the guard's own
    async with AServer().guard(**settings) as guard:
        return await guard.check(Request(authorization=(f"Bearer {a_token(**claims)}",)), requirement)


# ---------------------------------------------------------------- a hierarchy of scopes


@pytest.mark.parametrize(("scope", "good"), [("admin", True), ("manage", True), ("read:balance", True), ("openid", False)])
async def test_a_broad_scope_does_for_the_narrow_ones_that_it_implies(scope: str, good: bool) -> None:
    answer = await asked(BALANCE, {"scope": scope}, implies={"admin": ["manage"], "manage": ["read:balance"]})
    assert isinstance(answer, Allowed) is good


async def test_scopes_that_imply_each_other_are_no_riddle() -> None:
    assert isinstance(await asked(BALANCE, {"scope": "a"}, implies={"a": ["b"], "b": ["a", "read:balance"]}), Allowed)


async def test_a_scope_implies_a_list() -> None:
    with pytest.raises(TypeError):
        AServer().guard(implies={"admin": "manage"})


# ---------------------------------------------------------------- roles


@pytest.mark.parametrize(
    ("roles", "good"), [(["Organizer"], True), (["Guest", "Owner"], True), (["Guest"], False), ([], False), (None, False), ("Owner", False)]
)
async def test_one_of_the_roles_will_do(roles: object, good: bool) -> None:
    answer = await asked(needs("read:balance", roles=["Organizer", "Owner"]), {"roles": roles}, credentials=None)
    if good:
        assert isinstance(answer, Allowed)
    else:
        assert isinstance(answer, Refusal)
        assert (answer.status, answer.reason, answer.error) == (403, Reason.ROLE_MISSING, None)
        assert "Organizer" not in answer.body().decode()


# ---------------------------------------------------------------- step-up


@pytest.mark.proves("RFC 9470", "3")
@pytest.mark.parametrize(
    ("claims", "acr", "max_age"),
    [
        ({"acr": "urn:gw:password", "auth_time": NOW}, "phr phrh", None),
        ({"acr": None, "auth_time": NOW}, "phr phrh", None),
        ({"acr": 7, "auth_time": NOW}, "phr phrh", None),
        ({"acr": "phr", "auth_time": NOW - 301}, None, 300),
        ({"acr": "phr", "auth_time": None}, None, 300),
        ({"acr": "phr", "auth_time": True}, None, 300),
        ({"acr": None, "auth_time": NOW - 301}, "phr phrh", 300),
    ],
)
async def test_a_sign_in_that_is_too_weak_or_too_old_is_answered_with_what_is_asked(
    claims: dict[str, Any], acr: str | None, max_age: int | None
) -> None:
    answer = await asked(needs("read:balance", acr=["phr", "phrh"], max_age=300), claims)
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.error) == (401, "insufficient_user_authentication")
    said, body = answer.challenge(), json.loads(answer.body())
    assert ('acr_values="phr phrh"' in said, body.get("acr_values")) == (acr is not None, acr)
    assert ('max_age="300"' in said, body.get("max_age")) == (max_age is not None, max_age)


@pytest.mark.proves("RFC 9470", "3")
@pytest.mark.parametrize("claims", [{"acr": "phr", "auth_time": NOW - 300}, {"acr": "phrh", "auth_time": NOW}])
async def test_a_sign_in_that_is_good_and_new_enough_passes(claims: dict[str, Any]) -> None:
    assert isinstance(await asked(needs("read:balance", acr=["phr", "phrh"], max_age=300), claims), Allowed)


async def test_what_lacks_a_scope_is_told_of_the_scope_first() -> None:
    answer = await asked(needs("transfer:funds", max_age=0), {})
    assert isinstance(answer, Refusal)
    assert answer.error == "insufficient_scope"


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"acr": "phr"}, TypeError),
        ({"roles": "Owner"}, TypeError),
        ({"any_of": "a"}, TypeError),
        ({"acr": ['a"b']}, ValueError),
        ({"max_age": -1}, ValueError),
    ],
)
def test_a_slip_in_a_requirement_is_told_where_it_is_made(settings: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        needs("a", **settings)


# ---------------------------------------------------------------- a rule of the API's own


async def a_rule(verdict: object, *, late: bool) -> Allowed | Refusal:
    seen: list[tuple[Allowed, Request]] = []

    def at_once(allowed: Allowed, request: Request) -> Any:  # noqa: ANN401 - also what no rule should answer
        seen.append((allowed, request))
        return verdict

    async def later(allowed: Allowed, request: Request) -> Any:  # noqa: ANN401 - the same
        return at_once(allowed, request)

    answer = await asked(BALANCE, {}, allow=later if late else at_once)
    ((allowed, request),) = seen
    assert (allowed.claims.sub, request.method) == ("us_1", "GET")
    return answer


@pytest.mark.parametrize("late", [False, True])
async def test_a_rule_allows(late: bool) -> None:
    assert isinstance(await a_rule(True, late=late), Allowed)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("verdict", [False, None, 1, "The month is closed."])
async def test_a_rule_refuses_and_one_that_forgets_to_answer_lets_nobody_in(verdict: Verdict, late: bool) -> None:
    answer = await a_rule(verdict, late=late)
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.reason, answer.error) == (403, Reason.DENIED_BY_API, None)
    assert answer.detail == (verdict if isinstance(verdict, str) else Reason.DENIED_BY_API.sentence)


async def test_a_rule_is_not_asked_about_what_the_token_does_not_allow() -> None:
    def never(allowed: Allowed, request: Request) -> bool:
        raise AssertionError("asked")

    assert isinstance(await asked(needs("transfer:funds"), {}, allow=never), Refusal)


async def test_where_a_jwt_may_not_name_roles_the_server_is_asked_once_in_a_while() -> None:
    token = a_token()
    server = AServer(tokens={token: some_claims(roles=["Owner"])})
    async with server.guard() as guard:
        request = Request(authorization=(f"Bearer {token}",))
        for _ in range(3):
            assert isinstance(await guard.check(request, needs("read:balance", roles=["Owner"])), Allowed)
            assert isinstance(await guard.check(request, BALANCE), Allowed)
        assert server.asked["/introspect"] == 1
        refusal = await guard.check(request, needs("read:balance", roles=["Organizer"]))
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Reason.ROLE_MISSING
    assert isinstance(await asked(needs("read:balance", roles=["Owner"]), {}, credentials=None), Refusal)
