"""All the steps: the configuration first, then cluster, storage and destinations at the same time, by a deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bridge.doctor.cluster import examine_cluster
from bridge.doctor.configuration import examine_configuration
from bridge.doctor.route import examine_route
from bridge.doctor.steps import ENTRY, MEMBERS, ROUTE, STORAGE, Section, Sheet, State
from bridge.doctor.storage import examine_storage

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from bridge.app import Installation
    from bridge.doctor.steps import Result
    from bridge.mongooseim.facts import ClusterFacts

TOTAL_SECONDS: Final = 25.0
"""For all steps together, whatever hangs."""
STORAGE_SECONDS: Final = 8.0


async def examine(installation: Installation) -> list[Result]:
    """Try everything, change nothing."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + TOTAL_SECONDS
    first = await asyncio.to_thread(examine_configuration, installation)
    unusable = {result.step for result in first.results if result.state is State.FAILURE}
    facts: asyncio.Future[ClusterFacts | None] = loop.create_future()
    if "configuration" in unusable:
        reason = "the configuration cannot be read"
        empty = (
            Sheet(Section.CLUSTER, ENTRY),
            Sheet(Section.CLUSTER, MEMBERS),
            Sheet(Section.DELIVERY, STORAGE),
            Sheet(Section.DELIVERY, ROUTE),
        )
        return _results([first, *(_skipped(sheet, reason) for sheet in empty)])
    cluster, storage, routes = await asyncio.gather(
        _cluster(installation, unusable, deadline, facts),
        _storage(installation),
        _routes(installation, unusable, deadline, facts),
    )
    return _results([first, *cluster, storage, *routes])


async def _cluster(
    installation: Installation, unusable: set[str], deadline: float, facts: asyncio.Future[ClusterFacts | None]
) -> list[Sheet]:
    if unusable & {"node names", "cookie file", "TLS files"}:
        facts.set_result(None)
        reason = "names, cookie or TLS of the configuration cannot be used"
        return [_skipped(Sheet(Section.CLUSTER, steps), reason) for steps in (ENTRY, MEMBERS)]
    return await examine_cluster(installation, deadline - 2.0, facts)


async def _storage(installation: Installation) -> Sheet:
    try:
        async with asyncio.timeout(STORAGE_SECONDS):
            return await asyncio.to_thread(examine_storage, installation)
    except TimeoutError:
        sheet = Sheet(Section.DELIVERY, STORAGE)
        sheet.late(STORAGE_SECONDS)
        return sheet


async def _routes(
    installation: Installation, unusable: set[str], deadline: float, facts: asyncio.Future[ClusterFacts | None]
) -> list[Sheet]:
    """Every destination at the same time."""
    if "destinations" in unusable or not installation.destinations:
        reason = "the destinations of the configuration cannot be used" if unusable else "no destination is configured"
        return [_skipped(Sheet(Section.DELIVERY, ROUTE), reason)]
    sheets = [Sheet(Section.DELIVERY, ROUTE, one.name) for one in installation.destinations]
    if not installation.consent.given:
        # Off means off: not even a look at the endpoint.
        return [_skipped(sheet, f"reporting is off: {installation.consent.reason}") for sheet in sheets]
    async with installation.sender() as sender:
        pairs = zip(installation.destinations, sheets, strict=True)
        tries = (
            _in_time(examine_route(installation, one, sender, facts, sheet), sheet, deadline) for one, sheet in pairs
        )
        await asyncio.gather(*tries)
    return sheets


async def _in_time(work: Coroutine[None, None, None], sheet: Sheet, deadline: float) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            await work
    except TimeoutError:
        sheet.late(TOTAL_SECONDS)


def _skipped(sheet: Sheet, reason: str) -> Sheet:
    sheet.skip_rest(reason)
    return sheet


def _results(sheets: Sequence[Sheet]) -> list[Result]:
    return [result for sheet in sheets for result in sheet.results]
