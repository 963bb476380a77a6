"""All the steps: the configuration first, then cluster, storage and destinations at the same time, by a deadline."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.config.errors import ConfigError
from bridge.config.roles import Role
from bridge.doctor.cluster import examine_cluster
from bridge.doctor.configuration import examine_configuration
from bridge.doctor.route import examine_route
from bridge.doctor.steps import CONFIGURATION, ENTRY, MEMBERS, ROUTE, STORAGE, Section, Sheet
from bridge.doctor.storage import examine_storage
from bridge.files import shared_by_group

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from bridge.app import Installation
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
    configuration = Sheet(Section.CONFIGURATION, CONFIGURATION)
    installation = await asyncio.to_thread(_own_half, installation)
    unusable = await asyncio.to_thread(examine_configuration, installation, configuration)
    entries = () if unusable.cluster else installation.access.entries
    destinations = () if unusable.delivery else installation.destinations
    nodes = [Sheet(Section.CLUSTER, ENTRY, str(entry)) for entry in entries] or [Sheet(Section.CLUSTER, ENTRY)]
    members = Sheet(Section.CLUSTER, MEMBERS)
    storage = Sheet(Section.DELIVERY, STORAGE)
    routes = [Sheet(Section.DELIVERY, ROUTE, one.name) for one in destinations] or [Sheet(Section.DELIVERY, ROUTE)]
    sheets += [configuration, *nodes, members, storage, *routes]
    for reason, subjects in zip(unusable, ([storage], [*nodes, members], routes), strict=True):
        for sheet in subjects if reason else ():
            sheet.skip_rest(reason)
    work: list[Coroutine[None, None, None]] = []
    if not unusable.machine:
        work.append(_in_time(asyncio.to_thread(examine_storage, installation, storage), STORAGE_SECONDS, storage))
    if not unusable.cluster:
        work.append(examine_cluster(installation, deadline - 2.0, facts, nodes, members))
    else:
        facts.set_result(None)
    if not unusable.delivery:
        work.append(_routes(installation, deadline - loop.time(), facts, routes))
    await asyncio.gather(*work)
    for sheet in sheets:
        sheet.skip_rest("nothing was seen of it")
    return [result for sheet in sheets for result in sheet.results]


def _own_half(installation: Installation) -> Installation:
    """In the role of this process: two users who share the state directory can read one half of the secrets each."""

    def usable(part: str) -> bool:
        try:
            getattr(installation, part)
        except ConfigError:
            return False
        return True

    if not usable("loaded") or not shared_by_group(Path(installation.settings.bridge.state_dir)):
        return installation
    collects, delivers = usable("access"), usable("destinations")
    role = Role.BOTH if collects == delivers else Role.COLLECT if collects else Role.DELIVER
    return replace(installation, role=role)


async def _in_time(work: Coroutine[None, None, None], seconds: float, sheet: Sheet) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        sheet.late(seconds)


async def _routes(
    installation: Installation,
    seconds: float,
    facts: asyncio.Future[ClusterFacts | None],
    sheets: Sequence[Sheet],
) -> None:
    """Every destination at the same time."""
    async with installation.sender() as sender:
        pairs = zip(installation.destinations, sheets, strict=True)
        ways = ((examine_route(installation, one, sender, facts, sheet), sheet) for one, sheet in pairs)
        await asyncio.gather(*(_in_time(way, seconds, sheet) for way, sheet in ways))
