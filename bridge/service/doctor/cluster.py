"""The cluster: from the name of an entry node to its answers, and the members behind it.

One connection is made as every command makes it; which step its failure belongs to is told by the failure's class.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang.dial import ask_epmd_names
from bridge.erlang.errors import (
    BadCookie,
    CertificateError,
    EtfError,
    NoEpmd,
    PhaseTimeout,
    Refused,
    TlsExpected,
    TlsNotExpected,
    UnknownNode,
    UnresolvableHost,
    WrongNode,
)
from bridge.erlang.names import NodeName
from bridge.erlang.terms import Atom, Pid
from bridge.mongooseim.facts import Unreachable
from bridge.service.doctor.steps import (
    Attempt,
    Chain,
    Finding,
    Findings,
    Section,
    Step,
    addresses_of,
    failure,
    listed,
    ok,
    resolve,
    skipped,
    warning,
)
from bridge.service.reporting import OWN_REPORTER_ON

if TYPE_CHECKING:
    from bridge.erlang.node import Node
    from bridge.erlang.terms import Term
    from bridge.errors import BridgeError
    from bridge.mongooseim.answers import NodeAnswer
    from bridge.mongooseim.collect import Survey

OLDEST, NEWEST = (6, 1), (6, 8)
"""The releases of MongooseIM, without patches, whose answers are known."""
CONNECT_SECONDS: Final = 9.0
CALL_SECONDS: Final = 3.5

PORT, TLS, HANDSHAKE, COOKIE = "distribution port", "TLS", "handshake", "cookie"
_PHASES: Final = {"connecting": PORT, "TLS handshake": TLS}


class Visit:
    """One entry node, and what the steps have found out about it."""

    def __init__(self, node: Node, entry: NodeName, epmd_port: int, *, tls: bool) -> None:
        self.node = node
        self.entry = entry
        self.epmd_port = epmd_port
        self.tls = tls
        self.addresses: list[str] = []
        self.listed: dict[str, int] = {}
        self.connection = Attempt(self._connect, (PORT, TLS, HANDSHAKE, COOKIE), _place)

    async def _connect(self) -> None:
        await self.node.connect(self.entry, timeout=CONNECT_SECONDS - 0.5)

    async def call(self, module: str, function: str, *args: Term) -> Term:
        """Call a function in the node."""
        return await self.node.call(self.entry, module, function, args, timeout=CALL_SECONDS)


def _place(error: BridgeError) -> str:
    if isinstance(error, PhaseTimeout):
        return next((step for phase, step in _PHASES.items() if error.detail.startswith(phase)), HANDSHAKE)
    if isinstance(error, TlsExpected | TlsNotExpected | CertificateError):
        return TLS
    return PORT if isinstance(error, Refused) else COOKIE if isinstance(error, BadCookie) else HANDSHAKE


async def host(visit: Visit) -> Findings:
    """Look the host of the name up."""
    try:
        visit.addresses = await resolve(visit.entry.host)
    except (OSError, UnicodeError) as error:
        raise UnresolvableHost(str(visit.entry), visit.entry.host) from error
    return ok(addresses_of(visit.entry.host, visit.addresses))


async def epmd(visit: Visit) -> Findings:
    """Ask EPMD at every address what it knows; one answer is enough."""
    if visit.entry.port:
        return skipped("not asked: the port is given with the node's name")
    where = f"port {visit.epmd_port} of {listed(visit.addresses)}"
    asked = (ask_epmd_names(ip, visit.epmd_port) for ip in visit.addresses)
    limited = (asyncio.wait_for(question, CALL_SECONDS) for question in asked)
    answers = await asyncio.gather(*limited, return_exceptions=True)
    known = [answer for answer in answers if isinstance(answer, dict)]
    if known:
        visit.listed = {name: port for names in known for name, port in names.items()}
        return ok(f"answers at {where}")
    if any(isinstance(answer, TimeoutError) for answer in answers):
        raise PhaseTimeout(str(visit.entry), f"EPMD at {where} keeps silent")
    reason = "what answers there is something else" if any(isinstance(each, EtfError) for each in answers) else ""
    raise NoEpmd(str(visit.entry), f"{where}; {reason}" if reason else where)


async def registered(visit: Visit) -> Findings:
    """The node has to be among those that EPMD lists; who is there instead is often the answer."""
    if visit.entry.port:
        return skipped(f"not asked: port {visit.entry.port} is given with the node's name")
    if visit.entry.name in visit.listed:
        return ok(f"{visit.entry.name} is registered, with port {visit.listed[visit.entry.name]}")
    others = f"it lists {listed(sorted(visit.listed), 8)}" if visit.listed else "it lists no node at all"
    return failure(f"{visit.entry} is not registered with EPMD: {others}", UnknownNode.remedy)


async def port(visit: Visit) -> Findings:
    """Connect to it; what goes wrong afterwards is told by the steps that follow."""
    await visit.connection.passed(PORT)
    return ok(f"port {visit.entry.port or visit.listed.get(visit.entry.name)} takes connections")


async def tls(visit: Visit) -> Findings:
    """Both speak TLS and trust each other, or neither does."""
    await visit.connection.passed(TLS)
    return ok("both sides speak TLS and trust each other") if visit.tls else skipped("plain TCP, on both sides")


def _other_style(visit: Visit, error: WrongNode) -> bool:
    host = error.detail.rpartition("@")[2]
    return visit.entry.long != NodeName("?", host).long


async def handshake(visit: Visit) -> Findings:
    """Name, flags and protocol version suit the node, and it is the node that was meant."""
    try:
        await visit.connection.passed(HANDSHAKE)
    except WrongNode as error:
        advice = f"{WrongNode.remedy}: short and long names do not mix" if _other_style(visit, error) else ""
        return failure(str(error).partition("; ")[0], advice or WrongNode.remedy)
    return ok("the node takes our name, flags and protocol version")


async def cookie(visit: Visit) -> Findings:
    """Both digests are right."""
    await visit.connection.passed(COOKIE)
    return ok("it is the same as the node's")


async def remote_call(visit: Visit) -> Findings:
    """A call by erpc, with a group leader that lives in the node."""
    name = await visit.call("erlang", "node")
    leader = await visit.call("erlang", "group_leader")
    if not isinstance(leader, Pid) or leader.node != name:
        return warning(
            "calls work, but the node has no `user` process",
            "code that prints would wait for it: the node seems to be starting or stopping",
        )
    return ok("by erpc, with a group leader in the node")


async def hidden(visit: Visit) -> Findings:
    """Ask the node who it thinks we are."""
    own = visit.node.known_as(visit.entry)
    visible = await visit.call("erlang", "nodes")
    concealed = await visit.call("erlang", "nodes", Atom("hidden"))
    if own not in visible and own in concealed:
        return ok(f"{own} is in nodes(hidden) and not in nodes()")
    where = "in nodes()" if own in visible else "in neither nodes() nor nodes(hidden)"
    return failure(f"{own} is {where} of the node", "the cluster would count the bridge as a member: report this bug")


REACH: Final = Chain(
    Section.CLUSTER,
    (
        Step("host name", "the host part of the node's name has an address", host),
        Step("EPMD", "the port mapper of that host answers; skipped where the port is given", epmd),
        Step("registered", "EPMD knows the node; else the nodes that it knows are named", registered),
        Step(PORT, "something listens on the node's port, and no firewall is in between", port, CONNECT_SECONDS),
        Step(TLS, "both sides speak TLS and trust each other's certificates, or both speak plain TCP", tls),
        Step(HANDSHAKE, "it is the node that was meant, and it takes our name, flags and protocol version", handshake),
        Step(COOKIE, "the cookie is the node's", cookie),
        Step("remote call", "a function can be called in the node, with a group leader that lives there", remote_call),
        Step("hidden", "the node has us in nodes(hidden) and not in nodes(), so nobody counts us as a member", hidden),
    ),
)


@dataclass
class Examined:
    """A node that was asked all the questions of a report."""

    name: str
    survey: Survey | None
    answer: NodeAnswer | None = None

    @property
    def known(self) -> NodeAnswer:
        """The answer, in steps after the first."""
        assert self.answer
        return self.answer


def running(node: Examined) -> Findings:
    """The node answered, and the application runs."""
    assert node.survey
    node.answer = node.survey.answers.get(node.name)
    if node.answer is None:
        silent = node.survey.unreachable.get(node.name, Unreachable(node.name, "it did not answer in time"))
        return failure(
            silent.reason.partition("; ")[0],
            "is the node overloaded, or no MongooseIM? bridge.collect_timeout is its time",
        )
    if not node.answer.running:
        return failure(
            "the node answers, but MongooseIM is not running on it", "start it with mongooseimctl start, or wait for it"
        )
    return ok(f"{node.answer.version} on OTP {node.answer.otp_release}")


def release(node: Examined) -> Findings:
    """A release whose answers are known."""
    version = node.known.version or "custom"
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    if OLDEST <= numbers[:2] <= NEWEST:
        return ok(f"{version} is supported")
    return warning(
        f"{version} is not one of the supported releases, 6.1.0 to 6.8.0",
        "some facts may be missing or mean something else: is there a newer release of the bridge?",
    )


def answers(node: Examined) -> Findings:
    """Every fact could be asked."""
    if not node.known.failures:
        return ok("all facts could be asked")
    return warning(
        f"could not be asked: {'; '.join(node.known.failures)}",
        "these facts are missing in reports: does the release or a patch of its own differ there?",
    )


def own_reporter(node: Examined) -> Findings:
    """Not both of them."""
    if not node.known.own_reporter:
        return ok("it is off")
    found, _, advice = OWN_REPORTER_ON.partition("; ")
    return warning(found, advice)


ANSWERS: Final = Chain(
    Section.CLUSTER,
    (
        Step("MongooseIM", "the application runs in the node", running),
        Step("release", "it is one of 6.1.0 to 6.8.0", release),
        Step("facts", "every fact of a report could be asked", answers),
        Step("own reporter", "MongooseIM's own reporter is off, so nothing is counted twice", own_reporter),
    ),
)


class Members(NamedTuple):
    """What was asked of whom, and the nodes that have been told about already."""

    survey: Survey
    entries: frozenset[str]


def members(cluster: Members) -> Findings:
    """Everybody else whom an answering node sees."""
    found, silent = cluster.survey.answers, cluster.survey.unreachable
    missing = []
    for name in sorted({name for answer in found.values() for name in answer.members} - cluster.entries):
        if name not in found:
            missing.append(_missing(silent[name].reason if name in silent else f"node {name} did not answer in time"))
        elif not found[name].running:
            missing.append(_missing(f"MongooseIM is not running on node {name}"))
    return missing or ok(f"{len(found)} reached: {listed(sorted(found))}")


def _missing(reason: str) -> Finding:
    found, _, advice = reason.partition("; ")
    return warning(found, advice or "start it, or take it out of the cluster; reports are made without it")


MEMBERS: Final = Chain(
    Section.CLUSTER, (Step("members", "every member that the nodes see can be asked too; one warning each", members),)
)
