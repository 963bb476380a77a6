"""One node's answer to the probes, from Erlang terms to values. Every name and number passes the wall on the way.

What stays inside the program, to put nodes together, is named so: node names, and the numbers that stand for host types
and for custom modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from bridge.mongooseim import wall
from bridge.mongooseim.errors import BadAnswer
from bridge.mongooseim.facts import STANZA_TYPES, Incarnation, Module, NodeFacts, StanzaTotals, TlsOption
from bridge.mongooseim.probes import PROBES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from bridge.erlang.terms import Term

_T = TypeVar("_T")
UNREADABLE = (TypeError, ValueError, LookupError, AttributeError, RecursionError)
"""What taking apart a term of an unexpected shape or depth raises."""


class Modules(Struct, frozen=True):
    """The modules of one node: open source ones per host type, and custom ones, for counting only."""

    by_host_type: Mapping[int, frozenset[Module]] = {}
    custom: frozenset[int] = frozenset()
    """A host type and a custom module are numbers, the same on every node of a cluster."""


class NodeAnswer(NodeFacts, frozen=True):
    """What one node said. None: it could not say, and `failures` tells why."""

    members: tuple[str, ...]
    """The other nodes of the cluster that it sees, by name."""
    running: bool
    """Whether the mongooseim application runs there; if not, hardly anything below is known."""
    host_count: int | None
    domain_count: int | None
    modules: Modules | None
    http_handlers: frozenset[str] | None
    transports: frozenset[str] | None
    tls_options: frozenset[TlsOption] | None
    outgoing_pools: tuple[str, ...] | None
    """One for each pool."""
    stanzas: StanzaTotals
    """Those of the node's present incarnation; empty where it keeps no metrics."""
    cluster_id: str | None
    own_reporter: bool
    other_bridges: int = 0
    """Hidden nodes called mongooseim_bridge that it is connected to, but for our own."""
    failures: tuple[str, ...] = ()
    """Facts that failed, as "fact: class tag"."""


def read_answer(answers: Term, peer: str, also_known: Collection[str] = ()) -> NodeAnswer:
    """Read what a node gave for `probes.call_arguments()`.

    Args:
        answers: the result of the call.
        peer: the node, for the message.
        also_known: modules that the operator lets pass by name, beside those of the wall.

    Raises:
        BadAnswer: it is not what the frame gives.
    """
    try:
        outcomes = {str(name): outcome for name, outcome in answers}
        node, seen = outcomes["node"][1]
        version = outcomes["version"][1]
        name = str(node)
        members = tuple(member if member.isprintable() else ascii(member) for member in map(str, seen))
        if not name.isprintable():
            raise ValueError("a name to break a terminal with")
    except UNREADABLE as error:
        what = f"node {peer} answered the probes in a form that is not known"
        raise BadAnswer(what, "is it a node of MongooseIM?") from error
    failures: list[str] = []

    def fact(probe: str, read: Callable[[Term], _T]) -> _T | None:
        try:
            outcome = outcomes[probe]
            if outcome[0] == "ok":
                return read(outcome[1])
            failures.append(f"{probe}: {wall.failure(outcome[1], outcome[2])}")
        except UNREADABLE:
            failures.append(f"{probe}: {wall.failure(None, None)}")
        return None

    running = isinstance(version, list) and bool(version)
    cluster_id = fact("cluster_id", wall.cluster_id)
    pools = fact("outgoing_pools", lambda value: tuple(wall.word("pool", pool) for pool in value))
    return NodeAnswer(
        name=name,
        members=members,
        node_number=len(members) + 1,
        running=running,
        version=wall.version(version[0]) if running else None,
        otp_release=fact("otp_release", wall.text),
        uptime_seconds=fact("uptime", wall.count),
        config_type=fact("config_type", lambda value: wall.known("config_type", value) or "unknown_config_type"),
        components=fact("components", wall.count),
        host_count=fact("host_count", wall.count),
        domain_count=fact("domain_count", wall.count),
        modules=fact("modules", lambda value: _modules(value, also_known)),
        http_handlers=fact("http_handlers", lambda value: _known("handler", value)),
        transports=fact("c2s_transports", lambda value: _known("transport", value)),
        tls_options=fact("c2s_tls", _tls_options),
        outgoing_pools=pools,
        stanzas=fact("stanza_counts", lambda value: _stanzas(name, value)) or {},
        # Without RDBMS there is nowhere to keep an id; releases before 6.3.3 do not mark such an id as ephemeral.
        cluster_id=cluster_id if pools and "rdbms" in pools else None,
        own_reporter=fact("own_reporter", lambda value: value == "true") or False,
        other_bridges=fact("other_bridges", lambda value: wall.count(value) or 0) or 0,
        failures=tuple(sorted(failures, key=lambda failed: PROBES.index(failed.split(":")[0]))) if running else (),
    )


def _known(words: str, names: Term) -> frozenset[str]:
    return frozenset(filter(None, (wall.known(words, name) for name in names)))


def _modules(answer: Term, also_known: Collection[str]) -> Modules:
    groups, custom = answer
    by_host_type: dict[int, frozenset[Module]] = {}
    for loaded, metrics, host_types in groups:
        options = dict(metrics)
        # The last value of an option counts, as in MongooseIM's own report.
        modules = frozenset(
            Module(
                name, **{str(key): wall.word(key, value) for key, value in options.get(name, []) if key in wall.OPTIONS}
            )
            for name in filter(None, (wall.module(name, also_known) for name in loaded))
        )
        by_host_type.update(dict.fromkeys(map(int, host_types), modules))
    return Modules(by_host_type, frozenset(map(int, custom)))


def _tls_options(pairs: Term) -> frozenset[TlsOption]:
    # A release that does not name the TLS module answers undefined.
    return frozenset(
        TlsOption(wall.word("tls_mode", mode), None if module == "undefined" else wall.word("tls_module", module))
        for mode, module in pairs
    )


def _stanzas(node: str, answer: Term) -> StanzaTotals:
    if answer == "none":
        return {}
    life, counts = answer
    numbers = {str(name): wall.count(number) for name, number in counts}
    known = {name: number for name in STANZA_TYPES if (number := numbers.get(name)) is not None}
    return {Incarnation(node, int(life) % 2**32): known} if known else {}
