"""All the steps: the configuration first, then cluster, storage and destinations at the same time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bridge.erlang.epmd import epmd_port
from bridge.mongooseim.collect import Survey
from bridge.mongooseim.merge import merge
from bridge.service.consent import consent
from bridge.service.doctor.cluster import ANSWERS, MEMBERS, REACH, Examined, Members, Visit
from bridge.service.doctor.configuration import CONFIGURATION, Configuration
from bridge.service.doctor.route import ROUTE, Route
from bridge.service.doctor.steps import Daemons, Result, State
from bridge.service.doctor.storage import STORAGE, Storage
from bridge.service.reporting import hidden_node, make_sender
from bridge.times import Clock, system_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.config.access import Access
    from bridge.config.load import Loaded
    from bridge.erlang.names import NodeName
    from bridge.erlang.node import Node
    from bridge.mongooseim.facts import ClusterFacts

CHAINS: Final = (CONFIGURATION, REACH, ANSWERS, MEMBERS, STORAGE, ROUTE)
STEPS: Final = tuple((chain.section, step.name, step.proves) for chain in CHAINS for step in chain.steps)
"""Every step in order: its section, its name, what it proves."""

TOTAL_SECONDS: Final = 25.0
"""For all steps together; what has not begun by then is skipped."""
SURVEY_SECONDS: Final = 8.0
"""The longest that a node's answer is waited for, whatever bridge.collect_timeout is."""
CLOSING_SECONDS: Final = 2.0


async def examine(
    load: Callable[[], Loaded], environ: Mapping[str, str], *, clock: Clock | None = None
) -> list[Result]:
    """Try everything, change nothing.

    Args:
        load: reads the configuration; it may raise a ConfigError, which is a finding like any other.
        environ: the environment.
        clock: the machine's own by default.
    """
    loop = asyncio.get_running_loop()
    loop.set_default_executor(Daemons())
    deadline = loop.time() + TOTAL_SECONDS
    now = (clock or system_clock()).wall
    patient = Configuration(load, environ)
    results = await CONFIGURATION.run(patient, deadline)
    if patient.loaded is None:
        reason = "the configuration cannot be read"
        return results + [result for chain in CHAINS[1:] for result in chain.skipped(reason)]
    facts: asyncio.Future[ClusterFacts | None] = loop.create_future()
    storage = Storage(patient.loaded.settings, environ, now)
    parts = await asyncio.gather(
        _cluster(patient, deadline, facts), STORAGE.run(storage, deadline), _routes(patient, deadline, facts, now)
    )
    return results + [result for part in parts for result in part]


async def _cluster(patient: Configuration, deadline: float, facts: asyncio.Future[ClusterFacts | None]) -> list[Result]:
    """The entry nodes at the same time, then everybody's answers."""
    try:
        if patient.access is None:
            reason = "names, cookie or TLS of the configuration cannot be used"
            return [result for chain in (REACH, ANSWERS, MEMBERS) for result in chain.skipped(reason)]
        node = hidden_node(patient.access)
        try:
            return await _asked(patient, patient.access, node, deadline, facts)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_SECONDS):
                    await node.close()
    finally:
        if not facts.done():
            facts.set_result(None)


async def _asked(
    patient: Configuration,
    access: Access,
    node: Node,
    deadline: float,
    facts: asyncio.Future[ClusterFacts | None],
) -> list[Result]:
    port = access.epmd_port or epmd_port(patient.environ)
    visits = [Visit(node, entry, port, tls=access.tls is not None) for entry in access.entries]
    reached = await asyncio.gather(*(REACH.run(visit, deadline, str(visit.entry)) for visit in visits))
    well = [visit for visit, results in zip(visits, reached, strict=True) if not _failed(results)]
    survey = await _survey(node, [visit.entry for visit in well], patient, deadline) if well else None
    if survey and (serving := [answer for answer in survey.answers.values() if answer.running]):
        facts.set_result(merge(serving))
    results: list[Result] = []
    for visit, found in zip(visits, reached, strict=True):
        results += found
        if visit in well:
            results += await ANSWERS.run(Examined(str(visit.entry), survey), deadline, str(visit.entry))
        else:
            results += ANSWERS.skipped("the node cannot be asked", str(visit.entry))
    if survey and survey.answers:
        return results + await MEMBERS.run(Members(survey, frozenset(map(str, access.entries))), deadline)
    return results + MEMBERS.skipped("no node can be asked who they are")


async def _survey(node: Node, entries: Sequence[NodeName], patient: Configuration, deadline: float) -> Survey:
    """Ask all the questions of a report, of the entry nodes and of all whom they see."""
    seconds = min(SURVEY_SECONDS, patient.read.settings.bridge.collect_timeout / 1000)
    survey = Survey(node, entries, seconds)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline - CLOSING_SECONDS):
                await survey.complete()
    finally:
        survey.stop()
    return survey


async def _routes(
    patient: Configuration, deadline: float, facts: asyncio.Future[ClusterFacts | None], now: Callable[[], int]
) -> list[Result]:
    """Every destination at the same time."""
    if patient.destinations is None:
        return ROUTE.skipped("the destinations of the configuration cannot be used")
    if not patient.destinations:
        return ROUTE.skipped("no destination is configured")
    settings = patient.read.settings
    allowed = consent(settings.service, patient.environ)
    if not allowed.given:
        # Off means off: not even a look at the endpoint.
        skipped = [ROUTE.skipped(f"reporting is off: {allowed.reason}", each.name) for each in patient.destinations]
        return [result for results in skipped for result in results]
    async with make_sender(settings.bridge, patient.environ) as sender:
        routes = [Route(each, sender, settings, patient.environ, now, facts) for each in patient.destinations]
        found = await asyncio.gather(*(ROUTE.run(route, deadline, route.destination.name) for route in routes))
    return [result for results in found for result in results]


def _failed(results: Sequence[Result]) -> bool:
    return any(result.state is State.FAILURE for result in results)
