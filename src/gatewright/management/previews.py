"""Whom an act hits that is no piece of a platform file, for its preview: what `platform.impact` finds, in the words of a hit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewright.base.change import Hit
from gatewright.management.names import known
from gatewright.platform.hits import named
from gatewright.platform.impact import Proposal, Reader, impact
from gatewright.platform.steps import ASKED_AGAIN

if TYPE_CHECKING:
    from gatewright.clients.book import ClientRow
    from gatewright.management.errand import Errand
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.oauth.client import ClientSettings


async def hits(errand: Errand, proposal: Proposal) -> tuple[Hit, ...]:
    """Return whom a change would hit, over what the caller may read (`security-rules` 50)."""
    account = errand.caller.account
    found = await impact(errand.source, proposal, reader=Reader(accounts=frozenset({account}) if account else None))
    if not account and (found.grants or found.asked):
        errand.hit_clients.extend(named(found))
    counts = ((found.client_count, "clients"), (found.grants, "live grants"), (found.asked, ASKED_AGAIN))
    return tuple([Hit(count.number, what, more=count.more) for count, what in counts if count])


async def of_definition(errand: Errand, after: Catalogue) -> tuple[Hit, ...]:
    """Return whom it hits that the tenant defines something else."""
    return await hits(errand, Proposal(tenant=errand.tenant, before=(await known(errand)).catalogue, after=after))


async def of_end(errand: Errand, row: ClientRow) -> tuple[Hit, ...]:
    """Return whom it hits that a client gets nothing any more."""
    return await _of_client(errand, row, None)


async def of_settings(errand: Errand, row: ClientRow, settings: ClientSettings) -> tuple[Hit, ...]:
    """Return whom it hits that a client's settings are others."""
    return await _of_client(errand, row, settings)


async def _of_client(errand: Errand, row: ClientRow, settings: ClientSettings | None) -> tuple[Hit, ...]:
    catalogue = (await known(errand)).catalogue
    change = Proposal(tenant=errand.tenant, before=catalogue, after=catalogue, client=row, settings=settings, ends=settings is None)
    return tuple([hit for hit in await hits(errand, change) if hit.what != "clients"])
