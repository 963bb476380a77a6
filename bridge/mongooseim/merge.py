"""Several nodes' answers into one cluster's facts: once per cluster, once per node, or summed over nodes.

| fact | rule |
|---|---|
| modules, custom modules, handlers, transports, TLS | union |
| outgoing pools | for each type as many as the node with the most has |
| host count, domain count | the largest: they are meant to be the same, and a node that just started knows fewer |
| uptime, version, components, node number, configuration type | per node |
| stanza counters | per incarnation of a node, summed when reported |
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, TypeVar

from bridge.mongooseim.facts import ClusterFacts, Module, ModuleSet, NodeFacts
from bridge.mongooseim.wall import HTTP_TRANSPORTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.mongooseim.answers import NodeAnswer
    from bridge.mongooseim.facts import Unreachable

_T = TypeVar("_T")


def merge(answers: Sequence[NodeAnswer], unreachable: Sequence[Unreachable] = ()) -> ClusterFacts:
    """Put the answers of a cluster's nodes together.

    Args:
        answers: one per node with a running MongooseIM, at least one.
        unreachable: the members that gave none, passed on.
    """
    answers = sorted(answers, key=lambda answer: answer.name)
    handlers = _union(answer.http_handlers for answer in answers)
    modules = [answer.modules for answer in answers if answer.modules]
    return ClusterFacts(
        nodes=tuple(NodeFacts(*(getattr(answer, fact) for fact in NodeFacts.__struct_fields__)) for answer in answers),
        unreachable=tuple(sorted(unreachable, key=lambda node: node.node)),
        cluster_id=min((answer.cluster_id for answer in answers if answer.cluster_id), default=None),
        host_count=_largest(answer.host_count for answer in answers),
        domain_count=_largest(answer.domain_count for answer in answers),
        modules=_module_sets(answers),
        custom_module_count=len(_union(node.custom for node in modules)) if modules else None,
        http_api=tuple(sorted(handlers)),
        transports=tuple(sorted(_union(answer.transports for answer in answers) | (handlers & HTTP_TRANSPORTS))),
        tls_options=tuple(
            sorted(
                _union(answer.tls_options for answer in answers),
                key=lambda option: (option.mode, option.module or ""),
            )
        ),
        outgoing_pools=_pools(answers),
        stanzas={incarnation: counts for answer in answers for incarnation, counts in answer.stanzas.items()},
        own_reporter=any(answer.own_reporter for answer in answers),
        other_bridges=max(answer.other_bridges for answer in answers),
        notes=tuple(dict.fromkeys(failure for answer in answers for failure in answer.failures)),
    )


def _largest(numbers: Iterable[int | None]) -> int | None:
    return max((number for number in numbers if number is not None), default=None)


def _union(sets: Iterable[frozenset[_T] | None]) -> frozenset[_T]:
    return frozenset[_T]().union(*(found for found in sets if found is not None))


def _pools(answers: Sequence[NodeAnswer]) -> tuple[str, ...]:
    most = Counter[str]()
    for answer in answers:
        most |= Counter(answer.outgoing_pools or ())
    return tuple(sorted(most.elements()))


def _module_sets(answers: Sequence[NodeAnswer]) -> tuple[ModuleSet, ...]:
    """The modules per host type, over all nodes; host types that have the same are one set with their number."""
    by_host_type: defaultdict[int, set[Module]] = defaultdict(set)
    for answer in answers:
        if answer.modules:
            for host_type, modules in answer.modules.by_host_type.items():
                by_host_type[host_type] |= modules
    alike = Counter(frozenset(modules) for modules in by_host_type.values())
    sets = (ModuleSet(tuple(sorted(modules, key=order)), times) for modules, times in alike.items())
    return tuple(sorted(sets, key=lambda group: (-group.host_types, tuple(map(order, group.modules)))))


def order(module: Module) -> tuple[str, str, str, str]:
    """The order in which modules are reported."""
    return module.name, module.backend or "", module.online_backend or "", module.api_version or ""
