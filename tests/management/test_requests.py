"""The management API as HTTP: forms, refusals, pages, entity tags, previews and requests that come twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from gatewright.management.table import OPERATIONS
from gatewright.store import Query, Tx
from gatewright.web.problems import Problem
from tests.management.desk import API, Manager, at, service
from tests.management.samples import BODIES, NEW, PLACES
from tests.support.house import Node, basic, bearer


def pointers(problem: dict[str, Any]) -> dict[str, str]:
    """What is wrong where."""
    return {one["pointer"]: f"{one['rule']}; {one.get('cure', '')}".removesuffix("; ") for one in problem["errors"]}


# ---------------------------------------------------------------- what is wrong


@pytest.mark.proves("RFC 9457", "3")
async def test_all_faults_of_a_body_are_told_at_once_with_the_nearest_names(ops: Manager) -> None:
    problem = await ops.problem(
        "POST",
        "/clients",
        {"client_id": "a b", "client_name": "", "redirect_urls": [], "pkce": "off", "scopes": [1], "refresh": {"idel": "3d"}},
    )
    assert problem["type"] == "urn:gatewright:problem:faults"
    assert problem["status"] == 422
    found = pointers(problem)
    assert found["/redirect_urls"] == 'this key is not known; did you mean "redirect_uris"?'
    assert found["/refresh/idel"] == 'this key is not known; did you mean "idle"?'
    assert set(found) == {"/redirect_urls", "/refresh/idel", "/client_name", "/pkce", "/scopes/0"}


async def test_the_rules_are_those_of_the_platform_file(ops: Manager) -> None:
    problem = await ops.problem(
        "POST",
        "/clients",
        {"client_id": "us_x", "client_name": "X", "type": "spa", "redirect_uris": ["http://x.example"], "scopes": ["read:balanc"]},
    )
    found = pointers(problem)
    assert found["/client_id"].startswith('a client id may not begin with "us_"')
    assert found["/scopes/0"] == 'there is no scope "read:balanc"; did you mean "read:balance"?'
    assert "/redirect_uris/0" in found


@pytest.mark.proves("RFC 8259", "8.1")
@pytest.mark.parametrize(
    ("raw", "status", "said"),
    [
        (b"{", 400, "no JSON document"),
        (b'{"name": "x", "name": "y"}', 400, "twice"),
        (b'{"name": NaN}', 400, "no number"),
        (b'{"name": "\\ud800"}', 400, "UTF-8"),
        (b"\xff", 400, "UTF-8"),
        (b"[" * 100_000, 400, "nested"),
        (b"[]", 422, "a table is expected"),
        (b"", 400, "no JSON document"),
        (b'{"name": "a\\u0000b", "scopes": []}', 422, "NUL"),
        (b'{"name": "' + b"x" * 300_000 + b'"}', 413, "larger"),
    ],
)
async def test_what_is_no_document_is_refused_in_words(ops: Manager, raw: bytes, status: int, said: str) -> None:
    answer = await ops.ask("POST", "/roles", raw=raw, headers={"content-type": "application/json"})
    assert answer.status == status, answer
    assert said in answer.text


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", ""])
async def test_a_body_of_another_form_is_refused(ops: Manager, kind: str) -> None:
    answer = await ops.ask("POST", "/roles", raw=b'{"name": "x", "scopes": []}', headers={"content-type": kind})
    assert (answer.status, answer.header("accept")) == (415, "application/json")


@pytest.mark.proves("RFC 9110", "12.5.1")
@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/*;q=0.5", 200),
        ("text/html, application/json;q=0.1", 200),
        ("text/html", 406),
        ("application/json;q=0", 406),
    ],
)
async def test_what_cannot_be_accepted_is_not_sent(ops: Manager, accept: str, status: int) -> None:
    assert (await ops.ask("GET", "/roles", headers={"accept": accept})).status == status


async def test_a_wrong_method_is_told_the_right_ones_and_a_wrong_address_nothing(ops: Manager) -> None:
    answer = await ops.ask("DELETE", "/clients/budget-buddy")
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD, PATCH")
    assert (await ops.problem("GET", "/clientz"))["type"] == "urn:gatewright:problem:not_found"
    assert (await ops.ask("HEAD", "/clients")).status == 200


async def test_a_filter_that_nobody_knows_is_a_fault_with_the_nearest_name(ops: Manager) -> None:
    found = pointers(await ops.problem("GET", "/users?stats=active&count=0&count=2"))
    assert found == {"/count": "this was sent more than once; name it once"}
    found = pointers(await ops.problem("GET", "/users?stats=active&count=0"))
    assert found["/stats"] == 'this key is not known; did you mean "status"?'
    assert found["/count"] == "at least 1 is expected"
    assert "/count" in pointers(await ops.problem("GET", "/users?count=ten"))


async def test_a_filter_that_names_nothing_is_no_such_thing(ops: Manager) -> None:
    for query in ("client=nobody", "user=nobody@acme.test", "account=nowhere"):
        assert (await ops.problem("GET", f"/grants?{query}"))["status"] == 404


async def test_names_with_slashes_and_spaces_are_one_part_of_a_path(ops: Manager) -> None:
    assert (await ops.must("GET", f"/apis/{at('https://bank.acme.test')}"))["name"] == "Acme Bank"
    assert (await ops.ask("GET", "/apis/%ff")).status == 400
    assert (await ops.ask("GET", "/apis/%00")).status == 400


async def test_what_is_there_already_is_a_conflict(ops: Manager) -> None:
    await ops.must("POST", "/clients", NEW)
    assert (await ops.problem("POST", "/clients", NEW))["detail"] == "there is a client new-app already"
    for path, document in (
        ("/roles", {"name": "Organizer", "scopes": []}),
        ("/accounts", {"slug": "acme-dev", "name": "X"}),
        ("/users", {"email": "ANN@acme.test"}),
        ("/apis", {"audience": "https://bank.acme.test", "name": "X"}),
        ("/domains", {"origin": "https://id.globex.test"}),
        ("/accounts/acme-dev/members", {"user": "ann@acme.test"}),
        (f"/apis/{at('https://bank.acme.test')}/scopes", {"name": "read:balance", "text": "x"}),
    ):
        assert (await ops.problem("POST", path, document))["status"] == 409, path


# ---------------------------------------------------------------- pages


async def test_pages_follow_each_other_until_there_are_no_more(both: Node) -> None:
    ops = await service(both)
    for path, key in (
        ("/clients", "client_id"),
        ("/users", "id"),
        ("/accounts", "slug"),
        ("/audit", "id"),
        ("/accounts/acme-prod/members", "id"),
    ):
        whole = [one[key] for one in (await ops.must("GET", f"{path}?count=1000"))["items"]]
        seen: list[str] = []
        following: str | None = f"{path}?count=2"
        while following is not None:
            answer = await ops.ask("GET", following.partition(API)[2] or following)
            page = answer.json
            assert (answer.header("link") or "") == (f'<{page["next"]}>; rel="next"' if page["next"] else "")
            seen += [one[key] for one in page["items"]]
            following = page["next"]
        assert seen == whole, path


async def test_a_page_keeps_its_filters(ops: Manager) -> None:
    page = await ops.must("GET", "/users?kind=person&count=1")
    assert "kind=person" in page["next"]
    assert "count=1" in page["next"]


# ---------------------------------------------------------------- entity tags


@pytest.mark.proves("RFC 9110", "13.1.1")
@pytest.mark.proves("RFC 6585", "3")
async def test_a_change_names_the_state_that_it_changes(ops: Manager) -> None:
    shown = await ops.ask("GET", "/clients/budget-buddy")
    tag = shown.header("etag") or ""
    assert tag.startswith('"')
    assert (await ops.problem("PATCH", "/clients/budget-buddy", {"client_name": "B"}))["status"] == 428
    changed = await ops.ask("PATCH", "/clients/budget-buddy", {"client_name": "B"}, {"if-match": tag})
    assert changed.status == 200
    assert changed.header("etag") not in (None, tag)
    problem = await ops.problem("PATCH", "/clients/budget-buddy", {"client_name": "C"}, {"if-match": tag})
    assert problem["type"] == "urn:gatewright:problem:outdated"
    assert (await ops.problem("PATCH", "/clients/budget-buddy", {"client_name": "C"}, {"if-match": f"W/{tag}"}))["status"] == 412
    weaker = {"if-match": f'"other", {changed.header("etag")}'}
    assert (await ops.ask("PATCH", "/clients/budget-buddy", {"client_name": "C"}, weaker)).status == 200
    assert (await ops.problem("POST", "/clients/budget-buddy/disable", None, {"if-match": tag}))["status"] == 412
    assert (await ops.ask("POST", "/clients/budget-buddy/disable", None, {"if-match": "*"})).status == 200


@pytest.mark.proves("RFC 9110", "13.1.2")
async def test_what_was_not_changed_need_not_be_sent_again(ops: Manager) -> None:
    tag = (await ops.ask("GET", "/roles/Organizer")).header("etag") or ""
    answer = await ops.ask("GET", "/roles/Organizer", headers={"if-none-match": tag})
    assert (answer.status, answer.body) == (304, b"")
    assert answer.header("content-length") is None, "nor is what a cache has of length 0 (RFC 9110 §8.6)"


async def test_of_two_changes_at_once_one_is_told_that_it_is_late(both: Node) -> None:
    ops = await service(both)
    tag = (await ops.ask("GET", "/clients/budget-buddy")).header("etag") or ""
    answers = await asyncio.gather(
        *(ops.ask("PATCH", "/clients/budget-buddy", {"client_name": name}, {"if-match": tag}) for name in ("One", "Two", "Three"))
    )
    assert sorted(answer.status for answer in answers) == [200, 412, 412]


# ---------------------------------------------------------------- previews


async def test_a_preview_tells_what_would_change_and_changes_nothing(both: Node) -> None:
    ops = await service(both)
    log = await ops.must("GET", "/audit?count=1")
    told = await ops.must("PATCH", "/roles/Organizer?preview", {"scopes": ["view:events"]}, {"if-match": "*"})
    assert told["operation"] == "roles.change"
    assert told["changes"] == [{"key": "scopes", "before": ["create:events", "read:reports", "view:events"], "after": ["view:events"]}]
    assert told["hits"] == [{"count": 3, "what": "members who lose create:events, read:reports"}]
    assert (await ops.must("GET", "/roles/Organizer"))["scopes"] == ["create:events", "read:reports", "view:events"]
    assert (await ops.must("GET", "/audit?count=1")) == log


async def test_a_preview_of_something_new_shows_no_secret(ops: Manager) -> None:
    told = await ops.must("POST", "/clients?preview=true", NEW)
    assert {"key": "client_secret", "before": None, "after": "(hidden)"} in told["changes"]
    assert (await ops.problem("GET", "/clients/new-app"))["status"] == 404
    assert (await ops.problem("POST", "/clients?preview", {**NEW, "pkce": "x"}))["status"] == 422


async def test_a_preview_counts_the_grants_that_would_end(ops: Manager) -> None:
    await service(ops.node, "reader", "gw:clients:read")
    told = await ops.must("POST", "/grants/end?preview", {"client": "reader"})
    assert told["hits"] == [{"count": 1, "what": "live grants"}]
    assert len((await ops.must("GET", "/grants?client=reader"))["items"]) == 1
    assert (await ops.must("POST", "/grants/end", {"client": "reader"})) == {"ended": 1}
    assert (await ops.must("GET", "/grants?client=reader"))["items"] == []


async def test_a_grant_whose_time_is_over_is_none(ops: Manager) -> None:
    await service(ops.node, "reader", "gw:clients:read")
    grant = (await ops.must("GET", "/grants?client=reader"))["items"][0]
    assert grant["expires_at"] is None

    async def ends(tx: Tx) -> int:
        return await tx.do(SET_END, now=ops.node.house.clock.moment().now)

    assert await ops.node.house.store.run(ends)
    assert (await ops.must("GET", "/grants?client=reader"))["items"] == []
    assert (await ops.problem("GET", f"/grants/{grant['id']}"))["status"] == 404


SET_END = Query(None, "UPDATE consent_grant SET expires_at = :now WHERE client IN (SELECT id FROM client WHERE client_id = 'reader')")


async def test_what_cannot_be_previewed_says_so(ops: Manager) -> None:
    assert "cannot be previewed" in str(pointers(await ops.problem("POST", "/keys/rotate?preview")))
    assert "this key is not known" in str(pointers(await ops.problem("GET", "/clients?preview")))


async def test_every_change_of_one_transaction_can_be_previewed(ops: Manager) -> None:
    for operation in OPERATIONS:
        if operation.changes and not operation.alone:
            path = operation.path.format_map(PLACES)
            answer = await ops.ask(operation.method, f"{path}?preview", BODIES.get(operation.name), {"if-match": "*"})
            missing = {"{grant}", "{secret_id}", "{app}", "{install}", "{event}"} & set(operation.path.split("/"))
            refused = {"members.end": 409, "users.set_password": 409, "domains.check": 404}  # of a service user; not a claimed one
            refused |= {"events.test": 409, "events.enable": 404, "events.secrets.create": 404}  # of a client without an address
            assert answer.status == (404 if missing else refused.get(operation.name, 200)), (operation.name, answer)


# ---------------------------------------------------------------- requests that come twice


async def test_a_request_that_comes_twice_is_done_once_and_answered_alike(both: Node) -> None:
    ops = await service(both)
    key = {"idempotency-key": "7f1c-4e"}
    first = await ops.ask("POST", "/clients", NEW, key)
    again = await ops.ask("POST", "/clients", NEW, key)
    assert first.status == again.status == 201
    assert first.body == again.body, "the secret that is shown once too, since the first answer may have been lost"
    assert again.header("idempotency-replayed") == "true"
    assert first.header("idempotency-replayed") is None
    assert first.header("location") == again.header("location") == f"https://id.acme.test{API}/clients/new-app"
    assert len((await ops.must("GET", "/clients/new-app/secrets"))["items"]) == 1


async def test_a_replayed_answer_is_kept_sealed_under_a_key_that_is_not_kept(ops: Manager) -> None:
    key = {"idempotency-key": "a-key-that-nobody-keeps"}
    path = "/clients/image-copier/secrets"
    made = await ops.must("POST", path, {}, key)
    store = ops.node.house.store
    rows = await store.all(Query(str, "SELECT name || ' ' || request || ' ' || answer FROM repeat"))
    assert len(rows) == 1
    assert made["client_secret"] not in rows[0]
    assert "a-key-that-nobody-keeps" not in rows[0]
    assert (await ops.must("POST", path, {}, key))["client_secret"] == made["client_secret"]
    log = msgspec.json.encode((await ops.must("GET", "/audit"))["items"]).decode()
    assert made["client_secret"] not in log + "".join(ops.node.lines)


async def test_a_key_is_one_callers_and_one_requests(ops: Manager) -> None:
    key = {"idempotency-key": '"quoted"'}
    await ops.must("POST", "/roles", {"name": "One", "scopes": []}, key)
    assert (await ops.problem("POST", "/roles", {"name": "Two", "scopes": []}, key))["type"] == "urn:gatewright:problem:other_request"
    reader = await service(ops.node, "reader", "gw:roles:write")
    assert (await reader.must("POST", "/roles", {"name": "Two", "scopes": []}, key))["name"] == "Two"
    assert (await ops.problem("POST", "/roles", {"name": "X", "scopes": []}, {"idempotency-key": "x" * 300}))["status"] == 400


async def test_a_refused_request_may_be_sent_again_with_its_key(ops: Manager) -> None:
    key = {"idempotency-key": "k"}
    assert (await ops.problem("POST", "/roles", {"name": "R", "scopes": ["later"]}, key))["status"] == 422
    await ops.must("POST", f"/apis/{at('https://bank.acme.test')}/scopes", {"name": "later", "text": "Later"})
    assert (await ops.must("POST", "/roles", {"name": "R", "scopes": ["later"]}, key))["name"] == "R"


async def test_a_key_is_free_again_after_a_day(ops: Manager) -> None:
    key = {"idempotency-key": "k"}
    first = await ops.must("POST", "/clients/image-copier/secrets", {"end_others": True}, key)
    ops.node.time.pass_(86_401)
    later = await service(ops.node)
    second = await later.must("POST", "/clients/image-copier/secrets", {}, key)
    assert first["id"] != second["id"]
    assert len((await later.must("GET", "/clients/image-copier/secrets"))["items"]) == 2


async def test_of_many_at_once_with_one_key_one_is_done(both: Node) -> None:
    ops = await service(both)
    answers = await asyncio.gather(*(ops.ask("POST", "/clients", NEW, {"idempotency-key": "race"}) for _ in range(5)))
    assert [answer.status for answer in answers] == [201] * 5
    assert len({answer.body for answer in answers}) == 1
    assert len((await ops.must("GET", "/clients/new-app/secrets"))["items"]) == 1


# ---------------------------------------------------------------- the log


async def test_the_log_tells_who_through_what_from_where_and_what_was_before(ops: Manager) -> None:
    await ops.change("/clients/budget-buddy", {"client_name": "Buddy", "pkce": "optional"})
    entry = (await ops.must("GET", "/audit?act=client.changed&subject=budget-buddy"))["items"][0]
    assert (entry["actor"], entry["client"], entry["address"]) == ("ops", "ops", "203.0.113.7")
    assert entry["detail"]["before"] == {"client_name": "Budget Buddy", "pkce": "required"}
    assert entry["detail"]["after"] == {"client_name": "Buddy", "pkce": "optional"}


async def test_the_log_is_exported_as_lines_as_long_as_it_is(both: Node) -> None:
    ops = await service(both)
    whole = (await ops.must("GET", "/audit?count=1000"))["items"]
    answer = await ops.node.ask("GET", f"{API}/audit/export", headers=[bearer(ops.token)])
    assert answer.header("content-type") == "application/jsonl"
    assert [msgspec.json.decode(line) for line in answer.body.splitlines()] == whole
    some = await ops.node.ask("GET", f"{API}/audit/export?act=client.made&until=2031-01-01T00:00:00Z", headers=[bearer(ops.token)])
    assert {msgspec.json.decode(line)["act"] for line in some.body.splitlines()} == {"client.made"}
    assert "there is no act" in str(pointers(await ops.problem("GET", "/audit/export?act=client.mad")))
    assert "no such day" in str(pointers(await ops.problem("GET", "/audit?since=2026-13-41T00:00:00Z")))


async def test_an_export_that_fails_on_its_way_is_cut_short_and_told_in_the_log() -> None:
    from gatewright.web.rest import CutShort, _send_lines

    async def records() -> AsyncIterator[Problem]:
        for _ in range(2000):
            yield Problem(type="x" * 50, title="x", status=400)
        raise RuntimeError

    sent: list[Any] = []

    async def send(message: Any) -> None:  # noqa: ANN401 - what a server takes
        sent.append(message)

    with pytest.raises(CutShort):
        await _send_lines(send, records())
    assert [message["type"] for message in sent[:2]] == ["http.response.start", "http.response.body"]
    assert all(message.get("more_body") for message in sent[1:]), "it never says that it is whole"


async def test_every_answer_stays_out_of_caches(ops: Manager) -> None:
    for answer in (await ops.ask("GET", "/clients"), await ops.ask("GET", "/nothing"), await ops.ask("POST", "/roles", {})):
        assert answer.header("cache-control") == "no-store"
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("access-control-allow-origin") is None


async def test_a_new_secret_works_at_the_next_request(ops: Manager) -> None:
    made = await ops.must("POST", "/clients/image-copier/secrets", {"end_others": True})
    form = {"grant_type": "client_credentials", "scope": "read:images"}
    assert (await ops.node.post("/token", form, basic("image-copier", made["client_secret"]))).status == 200
