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
    from collections.abc import Coroutine

    from bridge.app import Installation
    from bridge.doctor.steps import Result
    from bridge.mongooseim.facts import ClusterFacts

TOTAL_SECONDS: Final = 25.0
"""For all steps together, whatever hangs."""
STORAGE_SECONDS: Final = 8.0
_ACCESS: Final = frozenset({"node names", "cookie file", "TLS files"})
"""Steps of the configuration without which no node can be asked."""


async def examine(installation: Installation, sheets: list[Sheet] | None = None) -> list[Result]:
    """Try everything, change nothing.

    Args:
        installation: what to look at.
        sheets: gets the sheet of each subject in order, with its results as they are known.
    """
    sheets = [] if sheets is None else sheets
    deadline = asyncio.get_running_loop().time() + TOTAL_SECONDS
    first = await asyncio.to_thread(examine_configuration, installation)
    unusable = {result.step for result in first.results if result.state is State.FAILURE}
    readable = "configuration" not in unusable
    entries = list(map(str, installation.access.entries)) if readable and not unusable & _ACCESS else [""]
    names = [one.name for one in installation.destinations] if readable and "destinations" not in unusable else []
    nodes = [Sheet(Section.CLUSTER, ENTRY, entry) for entry in entries]
    members, storage = Sheet(Section.CLUSTER, MEMBERS), Sheet(Section.DELIVERY, STORAGE)
    routes = [Sheet(Section.DELIVERY, ROUTE, name) for name in names or [""]]
    sheets += [first, *nodes, members, storage, *routes]
    if readable:
        facts: asyncio.Future[ClusterFacts | None] = asyncio.get_running_loop().create_future()
        await asyncio.gather(
            _cluster(installation, unusable, deadline, facts, (nodes, members)),
            _storage(installation, storage),
            _routes(installation, unusable, deadline, facts, routes),
        )
    for sheet in sheets:
        sheet.skip_rest("the configuration cannot be read")
    return [result for sheet in sheets for result in sheet.results]


async def _cluster(
    installation: Installation,
    unusable: set[str],
    deadline: float,
    facts: asyncio.Future[ClusterFacts | None],
    sheets: tuple[list[Sheet], Sheet],
) -> None:
    if unusable & _ACCESS:
        facts.set_result(None)
        for sheet in (*sheets[0], sheets[1]):
            sheet.skip_rest("names, cookie or TLS of the configuration cannot be used")
    else:
        await examine_cluster(installation, deadline - 2.0, facts, *sheets)


async def _storage(installation: Installation, sheet: Sheet) -> None:
    try:
        async with asyncio.timeout(STORAGE_SECONDS):
            sheet.take(await asyncio.to_thread(examine_storage, installation))
    except TimeoutError:
        sheet.late(STORAGE_SECONDS)


async def _routes(
    installation: Installation,
    unusable: set[str],
    deadline: float,
    facts: asyncio.Future[ClusterFacts | None],
    sheets: list[Sheet],
) -> None:
    """Every destination at the same time."""
    reason = ""
    if "destinations" in unusable:
        reason = "the destinations of the configuration cannot be used"
    elif not installation.destinations:
        reason = "no destination is configured"
    elif not installation.consent.given:
        # Off means off: not even a look at the endpoint.
        reason = f"reporting is off: {installation.consent.reason}"
    if reason:
        for sheet in sheets:
            sheet.skip_rest(reason)
        return
    async with installation.sender() as sender:
        pairs = zip(installation.destinations, sheets, strict=True)
        tries = (
            _in_time(examine_route(installation, one, sender, facts, sheet), sheet, deadline) for one, sheet in pairs
        )
        await asyncio.gather(*tries)


async def _in_time(work: Coroutine[None, None, None], sheet: Sheet, deadline: float) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            await work
    except TimeoutError:
        sheet.late(TOTAL_SECONDS)
