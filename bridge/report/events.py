"""The events of a report: names and params are the contract with the dashboards that exist.

The table is MongooseIM's (mongoose_system_metrics_collector.erl); docs/what-is-reported.md explains every row of it
and docs/differences.md every deviation. One cluster gives one set of events, however many nodes it has.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from bridge.report.model import Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridge.mongooseim.facts import ClusterFacts, Module, NodeFacts
    from bridge.report.model import StanzaCount, Value

ENABLED: Final = "enabled"
_DAY: Final = 86_400


def events(
    facts: ClusterFacts, stanzas: Sequence[StanzaCount] = (), *, aggregate_modules: bool = False
) -> tuple[Event, ...]:
    """Turn a cluster's facts into events; a fact that is not known gives no event rather than a made-up value.

    Args:
        facts: the walled facts of the cluster.
        stanzas: counts and increments, from `increments.stanza_counts`.
        aggregate_modules: one module_with_opt per distinct module and options, with a host_types count.
    """
    return tuple(_events(facts, stanzas, aggregate_modules=aggregate_modules))


def _events(facts: ClusterFacts, stanzas: Sequence[StanzaCount], *, aggregate_modules: bool) -> Iterator[Event]:
    yield from _value("host_count", facts.host_count)
    yield from _value("domain_count", facts.domain_count)
    yield from _aggregated(facts) if aggregate_modules else _modules(facts)
    yield from _value("custom_module_count", facts.custom_module_count)
    yield from map(_cluster, facts.nodes)
    if facts.http_api:
        yield Event("http_api", dict.fromkeys(facts.http_api, ENABLED))
    if facts.transports:
        yield Event("transport_mechanism", dict.fromkeys(facts.transports, ENABLED))
    for option in facts.tls_options:
        yield Event("tls_option", _known(mode=option.mode, module=option.module))
    for pool in facts.outgoing_pools:
        yield Event("outgoing_pool", {"value": pool})
    for count in stanzas:
        yield Event(
            "xmpp_stanza_count",
            {"stanza_type": count.stanza_type, "total": count.total, "increment": count.increment},
        )


def uptime(seconds: int) -> str:
    """An uptime as MongooseIM writes it, "DDDD-HH:MM:SS"."""
    days, rest = divmod(seconds, _DAY)
    return f"{days:04}-{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"


def _value(name: str, value: int | None) -> Iterator[Event]:
    if value is not None:
        yield Event(name, {"value": value})


def _modules(facts: ClusterFacts) -> Iterator[Event]:
    for group in facts.modules:
        group_events = [Event("module_with_opt", _module(module)) for module in group.modules]
        for _ in range(group.host_types):
            yield from group_events


def _aggregated(facts: ClusterFacts) -> Iterator[Event]:
    host_types: Counter[Module] = Counter()
    for group in facts.modules:
        for module in group.modules:
            host_types[module] += group.host_types
    for module in sorted(host_types, key=lambda module: tuple(map(str, _module(module).values()))):
        yield Event("module_with_opt", {**_module(module), "host_types": host_types[module]})


def _module(module: Module) -> Mapping[str, Value]:
    return _known(
        module=module.name,
        backend=module.backend,
        online_backend=module.online_backend,
        api_version=module.api_version,
    )


def _cluster(node: NodeFacts) -> Event:
    return Event(
        "cluster",
        _known(
            uptime=None if node.uptime_seconds is None else uptime(node.uptime_seconds),
            uptime_seconds=node.uptime_seconds,
            version=node.version,
            component=node.components,
            node_number=node.node_number,
            config_type=node.config_type,
        ),
    )


def _known(**params: Value | None) -> Mapping[str, Value]:
    return {name: value for name, value in params.items() if value is not None}
