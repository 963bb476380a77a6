"""One node's answer to the probes, from Erlang terms to values. Every name and number passes the wall on the way.

What stays inside the program, to put nodes together, is named so: node names, the numbers that stand for host types,
and the names of custom modules, of which only their number goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bridge.mongooseim import known
from bridge.mongooseim.errors import BadAnswer
from bridge.mongooseim.facts import STANZA_TYPES, Module, TlsOption
from bridge.mongooseim.probes import PROBES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.erlang.terms import Term

_T = TypeVar("_T")
_UNREADABLE = (TypeError, ValueError, KeyError, AttributeError, IndexError)
"""What taking apart a term of an unexpected shape raises."""


@dataclass(frozen=True, slots=True)
class Modules:
    """The modules of one node: open source ones per host type, and the names of custom ones, for counting only."""

    by_host_type: Mapping[int, frozenset[Module]] = field(default_factory=dict)
    """A host type is a number that means something only within one report."""
    custom: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What one node said. None: it could not say, and `failures` tells why."""

    name: str
    creation: int
    members: tuple[str, ...]
    """The other nodes of the cluster that it sees, by name."""
    running: bool
    """Whether the mongooseim application runs there; if not, hardly anything below is known."""
    version: str | None
    otp_release: str | None
    uptime_seconds: int | None
    config_type: str | None
    components: int | None
    host_count: int | None
    domain_count: int | None
    modules: Modules | None
    http_handlers: frozenset[str] | None
    transports: frozenset[str] | None
    tls_options: frozenset[TlsOption] | None
    outgoing_pools: frozenset[str] | None
    stanzas: Mapping[str, int] | None
    """Empty where the node keeps no metrics."""
    cluster_id: str | None
    own_reporter: bool
    other_bridges: int = 0
    """Hidden nodes called mongooseim_bridge that it is connected to, ours left out."""
    failures: tuple[str, ...] = ()
    """Facts that failed, as "fact: class tag"."""


def read_answer(answers: Term) -> NodeAnswer:
    """Read what a node gave for `probes.call_arguments()`.

    Raises:
        BadAnswer: it is not what the frame gives.
    """
    try:
        outcomes = {str(name): outcome for name, outcome in answers}
        name, creation, members = outcomes["node"][1]
        version = outcomes["version"][1]
        if not str(name).isprintable():
            raise ValueError("a name to break a terminal with")
        node = str(name), int(creation), tuple(str(member) for member in members)
    except _UNREADABLE as error:
        raise BadAnswer("answered the probes in a form that is not known", "is it a node of MongooseIM?") from error
    return _read(node, version, outcomes)


def _read(node: tuple[str, int, tuple[str, ...]], version: Term, outcomes: Mapping[str, Term]) -> NodeAnswer:
    failures: list[str] = []

    def fact(probe: str, read: Callable[[Term], _T]) -> _T | None:
        try:
            outcome = outcomes[probe]
            if outcome[0] == "ok":
                return read(outcome[1])
            failures.append(f"{probe}: {known.failure(outcome[1], outcome[2])}")
        except _UNREADABLE:
            failures.append(f"{probe}: {known.failure(None, None)}")
        return None

    name, creation, members = node
    running = isinstance(version, list) and bool(version)
    cluster_id = fact("cluster_id", known.cluster_id)
    pools = fact("outgoing_pools", lambda value: frozenset(map(known.pool, value)))
    return NodeAnswer(
        name=name,
        creation=creation,
        members=members,
        running=running,
        version=known.version(version[0]) if running else None,
        otp_release=fact("otp_release", known.text),
        uptime_seconds=fact("uptime", known.count),
        config_type=fact("config_type", known.config_type),
        components=fact("components", known.count),
        host_count=fact("host_count", known.count),
        domain_count=fact("domain_count", known.count),
        modules=fact("modules", _modules),
        http_handlers=fact("http_handlers", lambda value: _kept(map(known.handler, value))),
        transports=fact("c2s_transports", lambda value: _kept(map(known.transport, value))),
        tls_options=fact("c2s_tls", _tls_options),
        outgoing_pools=pools,
        stanzas=fact("stanza_counts", _stanzas),
        # Without RDBMS there is nowhere to keep an id; releases before 6.3.3 do not mark such an id as ephemeral.
        cluster_id=cluster_id if pools and "rdbms" in pools else None,
        own_reporter=fact("own_reporter", lambda value: value == "true") or False,
        other_bridges=fact("other_bridges", lambda value: known.count(value) or 0) or 0,
        failures=tuple(sorted(failures, key=lambda failed: PROBES.index(failed.split(":")[0]))) if running else (),
    )


def _kept(names: map[str | None]) -> frozenset[str]:
    return frozenset(name for name in names if name is not None)


def _modules(groups: Term) -> Modules:
    by_host_type: dict[int, frozenset[Module]] = {}
    custom: set[str] = set()
    for loaded, metrics, host_types in groups:
        options = dict(metrics)
        modules = set()
        for name in loaded:
            module = known.module(name)
            if module is None:
                custom.add(str(name))
            else:
                # The last value of an option counts, as in MongooseIM's own report.
                passed = filter(None, (known.option(key, value) for key, value in options.get(name, [])))
                modules.add(Module(module, **dict(passed)))
        by_host_type.update(dict.fromkeys(map(int, host_types), frozenset(modules)))
    return Modules(by_host_type, frozenset(custom))


def _tls_options(pairs: Term) -> frozenset[TlsOption]:
    return frozenset(TlsOption(known.tls_mode(mode), known.tls_module(module)) for mode, module in pairs)


def _stanzas(counts: Term) -> Mapping[str, int]:
    if counts == "none":
        return {}
    numbers = {str(name): known.count(number) for name, number in counts}
    return {name: number for name in STANZA_TYPES if (number := numbers.get(name)) is not None}
