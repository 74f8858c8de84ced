"""Many tenants in one deployment: rows as `apply` would write them, by the hundred thousand."""

from __future__ import annotations

from typing import Final

import msgspec

from bench.load import Request, post
from bench.operations import Operation, Stage
from bench.raw import Raw, Row
from bench.world import EVENTS, EVENTS_SCOPES, SECRETS, SERVICE, Cast
from gatewright.base.digest import Kind, digest
from gatewright.base.moment import SystemClock
from gatewright.oauth.client import ClientSettings

Change = dict[str, int | str]

CLIENTS: Final = 10  # of each tenant
_SECRET: Final = SECRETS["BENCH_SERVICE_SECRET"]


class Neighbours:
    """Tenants that share the deployment with the one of the benchmarks."""

    def __init__(self, raw: Raw, cast: Cast) -> None:
        self._raw = raw
        self._cast = cast
        self._clock = SystemClock()

    def add(self, count: int) -> list[str]:
        """Add tenants, each with a domain, an API with three scopes and ten clients; return their hosts."""
        at = self._clock.moment()
        tenants = {at.id(): f"t{index}.bench.test" for index in range(count)}
        self._like(
            "tenant", "slug", {"slug": "bench"}, [{"id": number, "slug": host.partition(".")[0]} for number, host in tenants.items()]
        )
        self._like(
            "domain", "id", {"tenant": self._cast.tenant},
            [{"id": at.id(), "tenant": number, "origin": f"https://{host}", "host": host} for number, host in tenants.items()],
        )  # fmt: skip
        apis = {number: at.id() for number in tenants}
        self._like("api", "id", {"audience": EVENTS}, [{"id": api, "tenant": number} for number, api in apis.items()])
        scopes = {number: tuple(at.id() for _ in EVENTS_SCOPES) for number in tenants}
        self._like(
            "scope", "id", {"name": EVENTS_SCOPES[0]},
            [
                {"id": scope, "tenant": number, "api": apis[number], "name": name}
                for number, ids in scopes.items()
                for name, scope in zip(EVENTS_SCOPES, ids, strict=True)
            ],
        )  # fmt: skip
        clients: list[Change] = [
            {"id": at.id(), "tenant": number, "client_id": f"{SERVICE}-{index}", "settings": _settings(ids)}
            for number, ids in scopes.items()
            for index in range(CLIENTS)
        ]
        self._like("client", "id", {"client_id": SERVICE}, clients)
        self._like(
            "credential", "id", {"holder": self._cast.service},
            [{"id": at.id(), "tenant": one["tenant"], "holder": one["id"], "digest": _digest(int(one["tenant"]))} for one in clients],
        )  # fmt: skip
        self._raw.tidy()
        return list(tenants.values())

    def _like(self, table: str, order: str, where: dict[str, int | str], changes: list[Change]) -> None:
        """Add rows that are like one there is, except for what is named."""
        columns = self._raw.columns(table)
        condition = " AND ".join(f"{name} = '{value}'" for name, value in where.items())
        model = dict(zip(columns, self._raw.rows(f"SELECT * FROM {table} WHERE {condition} ORDER BY {order} LIMIT 1")[0], strict=True))  # noqa: S608
        rows: list[Row] = [tuple((model | change)[name] for name in columns) for change in changes]
        self._raw.insert(table, columns, rows)


def _settings(scopes: tuple[int, ...]) -> str:
    return msgspec.json.encode(
        ClientSettings(client_name="Service", type="service", grant_types=("client_credentials",), scopes=scopes)
    ).decode()


def _digest(tenant: int) -> str:
    return digest(Kind.CLIENT_SECRET, tenant, _SECRET)


def everywhere(hosts: list[str]) -> Operation:
    """Return the operation that asks for a token of a different client of a different tenant each time."""

    def prepare(_stage: Stage, count: int) -> list[Request]:
        scope = "%20".join(EVENTS_SCOPES)
        return [
            post(
                hosts[index % len(hosts)],
                "/token",
                f"grant_type=client_credentials&client_id={SERVICE}-{index % CLIENTS}&client_secret={_SECRET}&scope={scope}",
            )
            for index in range(count)
        ]

    return Operation(
        name=f"cc-of-{len(hosts)}-from-{hosts[0]}",
        says=f"client_credentials of {len(hosts):,} tenants in turn",
        prepare=prepare,
        proof=b'"access_token"',
        target=(0, 0),
    )
