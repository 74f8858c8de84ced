import pytest

from gatewright.audit.book import Act, record
from gatewright.store import Query, Tx, Value
from tests.support.clock import TestClock


class Writing:
    """Takes the statements of one transaction."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Value]] = []

    async def one(self, query: Query[object], **args: Value) -> None:
        raise AssertionError

    async def all(self, query: Query[object], **args: Value) -> list[object]:
        raise AssertionError

    async def do(self, query: Query[object], **args: Value) -> int:
        self.rows.append(args)
        return 1

    async def wake(self) -> None:
        raise AssertionError


async def written(**detail: object) -> str:
    writing = Writing()
    tx: Tx = writing  # type: ignore[assignment]  # the reading half is not wanted
    await record(tx, TestClock().moment(), tenant=1, actor="us_1", act=Act.CLIENT_MADE, subject="web", detail=detail)
    return str(writing.rows[0]["detail"])


async def test_the_detail_is_a_document() -> None:
    assert await written(name="Web", scopes=("a", "b"), count=3) == '{"name":"Web","scopes":["a","b"],"count":3}'


@pytest.mark.parametrize("name", ["secret", "client_secret", "password", "code", "refresh_token", "jwt"])
async def test_a_field_named_like_a_secret_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="an audit entry may not hold"):
        await written(**{name: "x"})


async def test_a_value_that_looks_like_a_secret_is_hidden() -> None:
    secret = "gws_" + "A" * 43
    assert secret not in await written(note=f"made {secret}", deep={"client_secret": "x1y2z3"}, listed=[secret])
    assert "x1y2z3" not in await written(deep={"client_secret": "x1y2z3"})


def test_every_act_has_a_name_of_its_own() -> None:
    assert len({act.value for act in Act}) == len(Act)
    assert all("." in act.value for act in Act)
