"""The events of a report: names and params are the contract with the dashboards that exist.

The table is MongooseIM's (mongoose_system_metrics_collector.erl); docs/what-is-reported.md explains every row of it
and docs/differences.md every deviation. One cluster gives one set of events, however many nodes it has.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from bridge.mongooseim.merge import order
from bridge.mongooseim.wall import HTTP_TRANSPORTS
from bridge.report.model import Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridge.mongooseim.facts import ClusterFacts, Module
    from bridge.report.model import StanzaCount, Value


class Param(NamedTuple):
    """A param that an event may have: what kind of value, and what it means."""

    kind: Literal["text", "number"]
    meaning: str


_HANDLERS: Final = {
    "mongoose_graphql_handler": Param("text", "GraphQL API"),
    "mongoose_admin_api": Param("text", "REST API for admins (up to 6.5)"),
    "mongoose_client_api": Param("text", "REST API for clients (up to 6.5)"),
    "mongoose_prometheus_handler": Param("text", "metrics for Prometheus"),
    "mongoose_bosh_handler": Param("text", "BOSH (from 6.6)"),
    "mongoose_websocket_handler": Param("text", "WebSocket (from 6.6)"),
    "mod_bosh": Param("text", "BOSH (up to 6.5)"),
    "mod_websockets": Param("text", "WebSocket (up to 6.5)"),
}

EVENTS: Final[Mapping[str, Mapping[str, Param]]] = {
    "host_count": {"value": Param("number", "host types: static hosts and host types of dynamic domains")},
    "domain_count": {"value": Param("number", "XMPP domains that are served")},
    "module_with_opt": {
        "module": Param("text", "the module's name, one of those below"),
        "backend": Param("text", "where it keeps its data; `custom` for one that is not shipped"),
        "online_backend": Param("text", "where it keeps what is online (MUC rooms)"),
        "api_version": Param("text", "version of the MongoosePush API"),
        "host_types": Param("number", "for how many host types; only with `aggregate_modules`"),
    },
    "custom_module_count": {"value": Param("number", "distinct loaded modules that are not open source")},
    "cluster": {
        "uptime": Param("text", "since the node started, days-hours:minutes:seconds"),
        "uptime_seconds": Param("number", "the same as a number"),
        "version": Param("text", "release number; what a custom build adds is cut off"),
        "component": Param("number", "connected external components"),
        "node_number": Param("number", "nodes in the cluster, as this one sees it"),
        "config_type": Param("text", "kind of configuration file"),
    },
    "http_api": _HANDLERS,
    "transport_mechanism": {
        "tcp": Param("text", "a listener for clients over TCP"),
        **{name: param for name, param in _HANDLERS.items() if name in HTTP_TRANSPORTS},
    },
    "tls_option": {
        "mode": Param("text", "how TLS begins; `custom` for one that is not shipped"),
        "module": Param("text", "the TLS module, in releases that name it (up to 6.3)"),
    },
    "outgoing_pool": {"value": Param("text", "the type; `custom` for one that is not shipped")},
    "xmpp_stanza_count": {
        "stanza_type": Param("text", "message, IQ or presence; sent or received by clients and servers"),
        "total": Param("number", "since each node started, over all nodes"),
        "increment": Param("number", "since the last report; never negative"),
    },
}
"""Every event that can be sent and every param that it can have, in this order."""

_ENABLED: Final = "enabled"
_DAY: Final = 86_400


def events(
    facts: ClusterFacts, stanzas: Sequence[StanzaCount] = (), *, aggregate_modules: bool = False
) -> tuple[Event, ...]:
    """Turn a cluster's facts into events; a fact that is not known gives no event rather than a made-up value.

    Args:
        facts: the walled facts of the cluster.
        stanzas: counts and increments, from `totals.stanza_counts`.
        aggregate_modules: one module_with_opt per distinct module and options, with a host_types count.
    """
    return tuple(event for event in _events(facts, stanzas, aggregate_modules=aggregate_modules) if event.params)


def _events(facts: ClusterFacts, stanzas: Sequence[StanzaCount], *, aggregate_modules: bool) -> Iterator[Event]:
    yield _event("host_count", value=facts.host_count)
    yield _event("domain_count", value=facts.domain_count)
    yield from _aggregated(facts) if aggregate_modules else _modules(facts)
    yield _event("custom_module_count", value=facts.custom_module_count)
    for node in facts.nodes:
        since = None if node.uptime_seconds is None else uptime(node.uptime_seconds)
        yield _event("cluster", node, uptime=since, component=node.components)
    yield _event("http_api", **dict.fromkeys(facts.http_api, _ENABLED))
    yield _event("transport_mechanism", **dict.fromkeys(facts.transports, _ENABLED))
    for option in facts.tls_options:
        yield _event("tls_option", option)
    for pool in facts.outgoing_pools:
        yield _event("outgoing_pool", value=pool)
    for count in stanzas:
        yield _event("xmpp_stanza_count", count)


def _event(name: str, source: object = None, **params: Value | None) -> Event:
    """An event with the params that it can have: those given, else what the source has under their names."""
    values = {param: params.get(param, getattr(source, param, None)) for param in EVENTS[name]}
    return Event(name, {param: value for param, value in values.items() if value is not None})


def _modules(facts: ClusterFacts) -> Iterator[Event]:
    for group in facts.modules:
        group_events = [_event("module_with_opt", module, module=module.name) for module in group.modules]
        for _ in range(group.host_types):
            yield from group_events


def _aggregated(facts: ClusterFacts) -> Iterator[Event]:
    host_types: Counter[Module] = Counter()
    for group in facts.modules:
        host_types.update(dict.fromkeys(group.modules, group.host_types))
    for module in sorted(host_types, key=order):
        yield _event("module_with_opt", module, module=module.name, host_types=host_types[module])


def uptime(seconds: int) -> str:
    """An uptime as MongooseIM writes it, "DDDD-HH:MM:SS"."""
    days, rest = divmod(seconds, _DAY)
    return f"{days:04}-{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
