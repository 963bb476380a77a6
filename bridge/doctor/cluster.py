"""The cluster: the entry nodes are connected to as every command does it, and asked what a report asks."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bridge.erlang.errors import EPMD, PHASES, TLS, ErlangError
from bridge.erlang.terms import Atom, Pid
from bridge.mongooseim.collect import Survey, not_running
from bridge.mongooseim.facts import Unreachable
from bridge.mongooseim.merge import merge
from bridge.service.reporting import OWN_REPORTER_ON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.app import Installation
    from bridge.doctor.steps import Sheet
    from bridge.erlang.names import NodeName
    from bridge.erlang.node import Node
    from bridge.mongooseim.answers import NodeAnswer
    from bridge.mongooseim.facts import ClusterFacts

OLDEST, NEWEST = (6, 1), (6, 8)
"""The releases of MongooseIM, without patches, whose answers are known."""
CONNECT_SECONDS: Final = 9.0
CALL_SECONDS: Final = 3.5
SURVEY_SECONDS: Final = 8.0
"""The longest that a node's answer is waited for, whatever bridge.collect_timeout is."""
_SILENT: Final = "it did not answer in time"


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
        entries = list(zip(installation.access.entries, sheets, strict=True))
        await asyncio.gather(*(_reach(node, entry, sheet) for entry, sheet in entries))
        well = [entry for entry, sheet in entries if not sheet.has_failed]
        seconds = min(SURVEY_SECONDS, installation.collect_timeout)
        survey = await _ask(Survey(node, well, seconds, str(installation.access.own_name)), deadline)
        if serving := [answer for answer in survey.answers.values() if answer.running]:
            facts.set_result(merge(serving))
        for entry, sheet in entries:
            if entry in well:
                silent = survey.unreachable.get(str(entry), Unreachable(str(entry), f"node {entry}: {_SILENT}"))
                _answer(sheet, survey.answers.get(str(entry)), silent)
            else:
                sheet.skip_rest("the node cannot be asked")
        _members(members, survey, {str(entry) for entry, _ in entries})
    finally:
        if not facts.done():
            facts.set_result(None)
        with suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await node.close()


async def _reach(node: Node, entry: NodeName, sheet: Sheet) -> None:
    """One real attempt, and what was seen of each of its phases."""
    seen: dict[str, str] = {}
    failed: ErlangError | None = None
    try:
        await node.connect(entry, timeout=CONNECT_SECONDS, observe=seen.__setitem__)
    except ErlangError as error:
        failed = error
    for phase in PHASES:
        if failed and phase == failed.phase:
            sheet.failed(phase, failed)
            sheet.skip_rest(f"not tried after the failure of: {phase}")
            return
        if phase in seen:
            sheet.ok(phase, seen[phase])
        else:
            absent = {
                TLS: "plain TCP, on both sides",
                EPMD: f"not asked: port {entry.port} is given with the node's name",
            }
            sheet.skipped(phase, absent.get(phase, "nothing was seen of it"))
    try:
        await _call(node, entry, sheet)
    except ErlangError as error:
        sheet.failed("remote call", error)
        sheet.skip_rest("not tried after the failure of: remote call")


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


def _answer(sheet: Sheet, answer: NodeAnswer | None, silent: Unreachable) -> None:
    if answer is None or not answer.running:
        reason = not_running(answer.name) if answer else silent
        advice = "is the node overloaded, or not a MongooseIM? bridge.collect_timeout is its time"
        sheet.failure("MongooseIM", reason.reason, reason.remedy or advice)
        sheet.skip_rest("not tried after the failure of: MongooseIM")
        return
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
    if not survey.answers:
        sheet.skip_rest("no node can be asked who they are")
        return
    _missing(sheet, survey.answers, survey.unreachable, entries)
    others = max(answer.other_bridges for answer in survey.answers.values())
    if others:
        advice = "stop all but one, or let each report to a property of its own: everything is counted twice"
        sheet.warning("other bridges", f"{others} other bridge{'s' if others > 1 else ''} in the cluster", advice)
    else:
        sheet.ok("other bridges", "none")


def _missing(
    sheet: Sheet, answers: Mapping[str, NodeAnswer], silent: Mapping[str, Unreachable], entries: set[str]
) -> None:
    advice = "start it, or take it out of the cluster; reports are made without it"
    well = True
    for name in sorted({name for answer in answers.values() for name in answer.members} - entries):
        if name in answers and answers[name].running:
            continue
        well = False
        reason = (
            not_running(name) if name in answers else silent.get(name, Unreachable(name, f"node {name}: {_SILENT}"))
        )
        sheet.warning("members", reason.reason, reason.remedy or advice)
    if well:
        sheet.ok("members", f"{len(answers)} reached: {', '.join(sorted(answers)[:4])}")
