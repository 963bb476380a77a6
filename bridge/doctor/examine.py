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
    from collections.abc import Coroutine, Iterable, Mapping, Sequence, Set

    from bridge.app import Installation
    from bridge.delivery.destination import Destination
    from bridge.doctor.steps import Result
    from bridge.mongooseim.facts import ClusterFacts

TOTAL_SECONDS: Final = 25.0
"""For all steps together, whatever hangs."""
STORAGE_SECONDS: Final = 8.0


async def examine(installation: Installation, sheets: list[Sheet] | None = None) -> list[Result]:
    """Try everything, change nothing.

    Args:
        installation: what to look at.
        sheets: gets the sheet of each subject in order, with its results as they are known.
    """
    sheets = [] if sheets is None else sheets
    loop = asyncio.get_running_loop()
    deadline = loop.time() + TOTAL_SECONDS
    facts: asyncio.Future[ClusterFacts | None] = loop.create_future()
    first = await asyncio.to_thread(examine_configuration, installation)
    failed = {result.step for result in first.results if result.state is State.FAILURE}
    unreadable, no_cluster, no_route = _obstacles(installation, failed)
    entries = () if no_cluster else installation.access.entries
    destinations = () if unreadable or "destinations" in failed else installation.destinations
    nodes = _sheets(Section.CLUSTER, ENTRY, no_cluster, entries)
    (members,) = _sheets(Section.CLUSTER, MEMBERS, no_cluster)
    (storage,) = _sheets(Section.DELIVERY, STORAGE, unreadable)
    routes = _sheets(Section.DELIVERY, ROUTE, no_route, [one.name for one in destinations])
    sheets += [first, *nodes, members, storage, *routes]
    work: list[Coroutine[None, None, None]] = []
    if not unreadable:
        work.append(_storage(installation, storage))
    if no_cluster:
        facts.set_result(None)
    else:
        work.append(examine_cluster(installation, deadline - 2.0, facts, nodes, members))
    if not no_route:
        work.append(_routes(installation, deadline, facts, routes))
    await asyncio.gather(*work)
    return [result for sheet in sheets for result in sheet.results]


def _obstacles(installation: Installation, failed: Set[str]) -> tuple[str, str, str]:
    """Why the machine's side, the cluster and the destinations cannot be tried; empty where they can."""
    if "configuration" in failed:
        reason = "the configuration cannot be read"
        return reason, reason, reason
    unusable = failed & {"node names", "cookie file", "TLS files"}
    no_cluster = "names, cookie or TLS of the configuration cannot be used" if unusable else ""
    no_route = ""
    if "destinations" in failed:
        no_route = "the destinations of the configuration cannot be used"
    elif not installation.destinations:
        no_route = "no destination is configured"
    elif not installation.consent.given:
        # Off means off: not even a look at the endpoint.
        no_route = f"reporting is off: {installation.consent.reason}"
    return "", no_cluster, no_route


def _sheets(section: Section, steps: Mapping[str, str], obstacle: str, subjects: Iterable[object] = ()) -> list[Sheet]:
    """A sheet for each subject, one at least; with an obstacle all of it is skipped."""
    sheets = [Sheet(section, steps, str(subject)) for subject in subjects] or [Sheet(section, steps)]
    for sheet in sheets:
        if obstacle:
            sheet.skip_rest(obstacle)
    return sheets


async def _storage(installation: Installation, sheet: Sheet) -> None:
    try:
        async with asyncio.timeout(STORAGE_SECONDS):
            sheet.take(await asyncio.to_thread(examine_storage, installation))
    except TimeoutError:
        sheet.late(STORAGE_SECONDS)


async def _routes(
    installation: Installation,
    deadline: float,
    facts: asyncio.Future[ClusterFacts | None],
    sheets: Sequence[Sheet],
) -> None:
    """Every destination at the same time."""
    async with installation.sender() as sender:

        async def try_one(destination: Destination, sheet: Sheet) -> None:
            try:
                async with asyncio.timeout_at(deadline):
                    await examine_route(installation, destination, sender, facts, sheet)
            except TimeoutError:
                sheet.late(TOTAL_SECONDS)

        await asyncio.gather(*map(try_one, installation.destinations, sheets))
