"""TXT records from a real name server: there, not there, and nobody who could tell."""

from collections.abc import Iterator

import dns.rcode
import pytest

from gatewright.tenants.txt import DnsTxt, NoAnswer
from tests.support.names import Names, name_server, nobody

NAME = "_gatewright-challenge.id.acme.test"


@pytest.fixture
def names() -> Iterator[Names]:
    with name_server() as server:
        yield server


def ask(names: Names) -> DnsTxt:
    return DnsTxt((("127.0.0.1", names.port),))


async def test_all_texts_of_a_name_are_read_and_long_ones_put_together(names: Names) -> None:
    names.texts[NAME] = ["gatewright-domain=x", "v=spf1 -all", "a" * 600]
    assert set(await ask(names).texts(NAME)) == {"gatewright-domain=x", "v=spf1 -all", "a" * 600}
    assert names.asked == [NAME], "and no search list of the machine is tried"


async def test_an_answer_that_is_cut_off_is_asked_for_again_over_tcp(names: Names) -> None:
    names.texts[NAME] = ["whole"]
    names.truncated = True
    assert await ask(names).texts(NAME) == ("whole",)
    assert names.asked == [NAME, NAME]


async def test_a_name_that_does_not_exist_or_has_no_text_has_none(names: Names) -> None:
    assert await ask(names).texts(NAME) == ()
    names.known.add(NAME)
    assert await ask(names).texts(NAME) == ()


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
async def test_a_server_that_cannot_tell_is_no_answer(names: Names, rcode: dns.rcode.Rcode) -> None:
    names.rcode = rcode
    with pytest.raises(NoAnswer):
        await ask(names).texts(NAME)


async def test_a_server_that_is_not_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewright.tenants.txt.SECONDS", 0.2)
    with pytest.raises(NoAnswer):
        await DnsTxt((("127.0.0.1", nobody()),)).texts(NAME)
