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
    shown_by: str = ""
    """The param of the same event by which GA4's reports show this one; empty where they show it by itself."""
    since: int = 1
    """The contract that it came with: of a param that is added, one more than `CONTRACT` in the last release."""


class Column(NamedTuple):
    """A param in GA4's reports, which know params by name, whatever the event: its title and what it means there."""

    title: str
    description: str
    unit: Literal["STANDARD", "SECONDS"] = "STANDARD"
    """Of a number; Google's name."""


_HANDLERS: Final = {
    "mongoose_graphql_handler": ("graphql", "GraphQL API"),
    "mongoose_admin_api": ("admin_api", "REST API for admins (up to 6.5)"),
    "mongoose_client_api": ("client_api", "REST API for clients (up to 6.5)"),
    "mongoose_prometheus_handler": ("prometheus", "metrics for Prometheus"),
    "mongoose_bosh_handler": ("bosh", "BOSH (from 6.6)"),
    "mongoose_websocket_handler": ("websocket", "WebSocket (from 6.6)"),
    "mod_bosh": ("bosh", "BOSH (up to 6.5)"),
    "mod_websockets": ("websocket", "WebSocket (up to 6.5)"),
}
"""HTTP handlers that are shipped, each with its short name and what it is."""

SHORT_NAMES: Final[Mapping[str, str]] = {**{name: short for name, (short, _) in _HANDLERS.items()}, "tcp": "tcp"}
"""HTTP handlers and transports in `enabled`, the same in all releases; together below 100 characters."""

_HANDLER_PARAMS: Final = {name: Param("text", meaning, "enabled") for name, (_, meaning) in _HANDLERS.items()}

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
        "uptime": Param("text", "since the node started, days-hours:minutes:seconds", "uptime_seconds"),
        "uptime_seconds": Param("number", "the same as a number"),
        "version": Param("text", "release number; what a custom build adds is cut off"),
        "component": Param("number", "connected external components"),
        "node_number": Param("number", "nodes in the cluster, as this one sees it"),
        "config_type": Param("text", "kind of configuration file"),
    },
    "http_api": {
        **_HANDLER_PARAMS,
        "enabled": Param("text", "all of them by their short names, in alphabetical order"),
    },
    "transport_mechanism": {
        "tcp": Param("text", "a listener for clients over TCP", "enabled"),
        **{name: param for name, param in _HANDLER_PARAMS.items() if name in HTTP_TRANSPORTS},
        "enabled": Param("text", "all of them by their short names, in alphabetical order"),
    },
    "tls_option": {
        "mode": Param("text", "how TLS begins; `custom` for one that is not shipped"),
        "module": Param("text", "the TLS module, in releases that name it (up to 6.3)"),
    },
    "outgoing_pool": {
        "value": Param("text", "the type; `custom` for one that is not shipped", "pool"),
        "pool": Param("text", "the same; `value` is a number to GA4"),
    },
    "xmpp_stanza_count": {
        "stanza_type": Param("text", "message, IQ or presence; sent or received by clients and servers"),
        "total": Param("number", "since each node started, over all nodes"),
        "increment": Param("number", "since the last report; never negative"),
    },
}
"""Every event that can be sent and every param that it can have, in this order."""

COLUMNS: Final[Mapping[str, Column]] = {
    "module": Column("Module", "Module in use (module_with_opt), TLS module of listeners (tls_option)"),
    "backend": Column("Backend", "Where the module keeps its data"),
    "online_backend": Column("Online backend", "Where the module keeps what is online"),
    "api_version": Column("API version", "Version of the MongoosePush API"),
    "version": Column("MongooseIM version", "Release of MongooseIM on a node"),
    "config_type": Column("Configuration type", "Kind of configuration file on a node"),
    "enabled": Column("Enabled", "HTTP APIs (http_api) or transports (transport_mechanism) of the cluster"),
    "mode": Column("TLS mode", "How TLS begins on a listener for clients"),
    "pool": Column("Pool type", "Type of an outgoing connection pool"),
    "stanza_type": Column("Stanza type", "Message, IQ or presence; sent or received"),
    "value": Column("Value", "Host types (host_count), domains (domain_count), custom modules (custom_module_count)"),
    "host_types": Column("Host types", "For how many host types a module is loaded, with aggregate_modules"),
    "uptime_seconds": Column("Uptime", "Time since a node started", "SECONDS"),
    "component": Column("Components", "External components connected to a node"),
    "node_number": Column("Nodes", "Nodes in the cluster, as one of them sees it"),
    "total": Column("Stanzas in total", "Stanzas since each node started, over all nodes"),
    "increment": Column("Stanzas", "Stanzas since the report before; the one to add up"),
}
"""Every param that GA4's reports can show by itself. What has a number of values without end is no column of texts."""

CONTRACT: Final = max(param.since for params in EVENTS.values() for param in params.values())
"""The number of the contract: what this release can report. Operators agree to it, and hear of a new one."""

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


def new_params(contract: int) -> tuple[tuple[str, str], ...]:
    """The params that a contract does not have, each by event and name."""
    return tuple(
        (event, name) for event, params in EVENTS.items() for name, param in params.items() if param.since > contract
    )


def within(contract: int, events: Sequence[Event]) -> tuple[Event, ...]:
    """The events with only what a contract has."""
    kept = (
        Event(one.name, {name: value for name, value in one.params.items() if EVENTS[one.name][name].since <= contract})
        for one in events
    )
    return tuple(one for one in kept if one.params)


def _events(facts: ClusterFacts, stanzas: Sequence[StanzaCount], *, aggregate_modules: bool) -> Iterator[Event]:
    yield _event("host_count", value=facts.host_count)
    yield _event("domain_count", value=facts.domain_count)
    yield from _aggregated(facts) if aggregate_modules else _modules(facts)
    yield _event("custom_module_count", value=facts.custom_module_count)
    for node in facts.nodes:
        since = None if node.uptime_seconds is None else uptime(node.uptime_seconds)
        yield _event("cluster", node, uptime=since, component=node.components)
    yield _event("http_api", **_enabled(facts.http_api))
    yield _event("transport_mechanism", **_enabled(facts.transports))
    for option in facts.tls_options:
        yield _event("tls_option", option)
    for pool in facts.outgoing_pools:
        yield _event("outgoing_pool", value=pool, pool=pool)
    for count in stanzas:
        yield _event("xmpp_stanza_count", count)


def _event(name: str, source: object = None, **params: Value | None) -> Event:
    """An event with the params that it can have: those given, else what the source has under their names."""
    values = {param: params.get(param, getattr(source, param, None)) for param in EVENTS[name]}
    return Event(name, {param: value for param, value in values.items() if value is not None})


def _enabled(names: Sequence[str]) -> Mapping[str, Value]:
    """Each name as a param, as MongooseIM has it, and all of them in one, which GA4 can group by."""
    together = sorted({short for name, short in SHORT_NAMES.items() if name in names})
    return {**dict.fromkeys(names, _ENABLED), "enabled": ", ".join(together)} if together else {}


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
