"""The cluster: the entry nodes are connected to as every command does it, and asked what a report asks."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from bridge.doctor.steps import ENTRY
from bridge.erlang.errors import EPMD, TLS, ErlangError
from bridge.erlang.terms import Atom, Pid
from bridge.errors import BridgeError
from bridge.mongooseim.collect import Survey, ask, not_running
from bridge.mongooseim.facts import Unreachable
from bridge.mongooseim.merge import merge
from bridge.service.reporting import OWN_REPORTER_ON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.app import Installation
    from bridge.doctor.steps import Sheet
    from bridge.erlang.names import NodeName
    from bridge.erlang.node import Node
    from bridge.mongooseim.facts import ClusterFacts

OLDEST, NEWEST = (6, 1), (6, 8)
"""The releases of MongooseIM, without patches, whose answers are known."""
CONNECT_SECONDS: Final = 9.0
CALL_SECONDS: Final = 3.5
SURVEY_SECONDS: Final = 8.0
"""The longest that a node's answer is waited for, whatever bridge.collect_timeout is."""


async def examine_cluster(
    installation: Installation,
    deadline: float,
    facts: asyncio.Future[ClusterFacts | None],
    sheets: Sequence[Sheet],
    members: Sheet,
) -> None:
    """Enter the cluster at every configured node at once, then ask everybody.

    Args:
        installation: with access to the cluster.
        deadline: in the event loop's time.
        facts: gets what the cluster answers, for the validator; None where there is nothing.
        sheets: of the entry nodes, in their order.
        members: the sheet of everybody else.
    """
    node = installation.node()
    try:
        entries = installation.access.entries
        await asyncio.gather(*map(partial(_reach, node), entries, sheets))
        entered = {entry: sheet for entry, sheet in zip(entries, sheets, strict=True) if not sheet.complete}
        seconds = min(SURVEY_SECONDS, installation.collect_timeout)
        own_name, also_known = str(installation.access.own_name), installation.settings.bridge.also_known
        question = partial(ask, node, timeout=seconds, own_name=own_name, also_known=also_known)
        survey = await _ask(Survey(question, [*entered]), deadline)
        if serving := [answer for answer in survey.answers.values() if answer.running]:
            facts.set_result(merge(serving))
        for entry, sheet in entered.items():
            _answer(sheet, survey, str(entry))
        _members(members, survey, set(map(str, entries)))
    finally:
        if not facts.done():
            facts.set_result(None)
        with suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await node.close()


async def _reach(node: Node, entry: NodeName, sheet: Sheet) -> None:
    """One real attempt: each phase that succeeds is a step, and one that it leaves out was not needed."""
    left_out = {EPMD: f"not asked: port {entry.port} is given with the node's name", TLS: "plain TCP, on both sides"}

    def skip_before(step: str) -> None:
        for earlier in takewhile(lambda earlier: earlier != step, ENTRY):
            if earlier in left_out:
                sheet.skipped(earlier, left_out[earlier])

    def seen(phase: str, what: str) -> None:
        skip_before(phase)
        sheet.ok(phase, what)

    try:
        await node.connect(entry, timeout=CONNECT_SECONDS, observe=seen)
        await _call(node, entry, sheet)
    except ErlangError as error:
        step = error.phase or "remote call"
        skip_before(step)
        sheet.stopped(step, error)


async def _call(node: Node, entry: NodeName, sheet: Sheet) -> None:
    name, leader, visible, concealed = await asyncio.gather(
        node.call(entry, "erlang", "node", [], timeout=CALL_SECONDS),
        node.call(entry, "erlang", "group_leader", [], timeout=CALL_SECONDS),
        node.call(entry, "erlang", "nodes", [], timeout=CALL_SECONDS),
        node.call(entry, "erlang", "nodes", [Atom("hidden")], timeout=CALL_SECONDS),
    )
    if isinstance(leader, Pid) and leader.node == name:
        sheet.ok("remote call", "by erpc, with a group leader in the node")
    else:
        advice = "code that prints would wait for it: the node seems to be starting or stopping"
        sheet.warning("remote call", "calls work, but the node has no `user` process", advice)
    own = node.known_as(entry)
    if own not in visible and own in concealed:
        sheet.ok("hidden", f"{own} is in nodes(hidden) and not in nodes()")
    else:
        where = "in nodes()" if own in visible else "in neither nodes() nor nodes(hidden)"
        advice = "the cluster would count the bridge as a member: report this bug"
        sheet.failure("hidden", f"{own} is {where} of the node", advice)


async def _ask(survey: Survey, deadline: float) -> Survey:
    """Ask all the questions of a report, of the entry nodes and of all whom they see."""
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await survey.complete()
    finally:
        survey.stop()
    return survey


def _absence(survey: Survey, name: str) -> Unreachable | None:
    """Why a node has no part in a report; None where it has."""
    if answer := survey.answers.get(name):
        return None if answer.running else not_running(name)
    return survey.unreachable.get(name, Unreachable(name, f"node {name}: it did not answer in time"))


def _answer(sheet: Sheet, survey: Survey, name: str) -> None:
    if absence := _absence(survey, name):
        advice = "is the node overloaded, or not a MongooseIM? bridge.collect_timeout is its time"
        sheet.stopped("MongooseIM", BridgeError(absence.reason, absence.remedy or advice))
        return
    answer = survey.answers[name]
    version = answer.version or "custom"
    sheet.ok("MongooseIM", f"{version} on OTP {answer.otp_release}")
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    if OLDEST <= numbers[:2] <= NEWEST:
        sheet.ok("release", f"{version} is supported")
    else:
        sheet.warning(
            "release",
            f"{version} is not one of the supported releases, 6.1.0 to 6.8.0",
            "some facts may be missing or mean something else: is there a newer release of the bridge?",
        )
    if answer.failures:
        advice = "these facts are missing in reports: does the release or a patch of its own differ there?"
        sheet.warning("facts", f"could not be asked: {'; '.join(answer.failures)}", advice)
    else:
        sheet.ok("facts", "all facts could be asked")
    if answer.own_reporter:
        sheet.warning("own reporter", OWN_REPORTER_ON.what, OWN_REPORTER_ON.remedy)
    else:
        sheet.ok("own reporter", "it is off")


def _members(sheet: Sheet, survey: Survey, entries: set[str]) -> None:
    """Everybody else whom an answering node sees."""
    answers = survey.answers
    if not answers:
        sheet.skip_rest("no node can be asked who they are")
        return
    advice = "start it, or take it out of the cluster; reports are made without it"
    others = sorted({name for answer in answers.values() for name in answer.members} - entries)
    absences = (absence for name in others if (absence := _absence(survey, name)))
    complaints = ((absence.reason, absence.remedy or advice) for absence in absences)
    sheet.judged("members", f"{len(answers)} reached: {', '.join(sorted(answers)[:4])}", complaints)
    if bridges := max(answer.other_bridges for answer in answers.values()):
        advice = "stop all but one, or let each report to a property of its own: everything is counted twice"
        sheet.warning("other bridges", f"{bridges} other bridge{'s' if bridges > 1 else ''} in the cluster", advice)
    else:
        sheet.ok("other bridges", "none")
