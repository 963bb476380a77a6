"""A report in words: what its events say to the person whose installation it is, drawn from the events alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bridge.report.model import Event, Value

_BACKENDS: Final = {"backend": "", "online_backend": " (online)"}
"""The params of a module that name a backend, and how a second one of the same module is told apart."""
_PUSHER: Final = "mod_event_pusher"
_LISTS: Final = {"http_api": "HTTP APIs", "transport_mechanism": "Transports"}
_KINDS: Final = {"Message": "Messages", "Iq": "IQs", "Presence": "Presences"}
_WORDED: Final = frozenset(
    {
        *("cluster", "host_count", "domain_count", "module_with_opt", "custom_module_count"),
        *("tls_option", "outgoing_pool", "xmpp_stanza_count", *_LISTS),
    }
)


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing that the report tells, as "Domains: 5"."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of a report that are shown over time."""

    modules: int
    """MongooseIM's own, each once."""
    stanzas: Mapping[str, int]
    """Since the report before, by type."""


def in_words(events: Sequence[Event]) -> tuple[Topic, ...]:
    """What the events say, a line per topic; an event of a name without words is at least counted."""
    return tuple(_topics(events))


def backends(events: Sequence[Event]) -> dict[str, dict[str, int]]:
    """Which backends each module uses, each on how many host types; modules without one are left out."""
    found: dict[str, Counter[str]] = {}
    for params in _of("module_with_opt", events):
        module = str(params.get("module", "?"))
        for param, suffix in _BACKENDS.items():
            if param in params:
                found.setdefault(f"{module}{suffix}", Counter())[str(params[param])] += _host_types(params)
    # Its event has one backend, as in MongooseIM's own report; but each is a module, too.
    for module, host_types in _modules(events).items():
        if (backend := module.removeprefix(f"{_PUSHER}_")) != module:
            found.setdefault(_PUSHER, Counter())[backend] = host_types
    return {module: dict(found[module].most_common()) for module in sorted(found)}


def figures(events: Sequence[Event]) -> Figures:
    """What the charts show of a report."""
    stanzas = {
        str(params.get("stanza_type")): _number(params, "increment") for params in _of("xmpp_stanza_count", events)
    }
    return Figures(len(_modules(events)), stanzas)


def _topics(events: Sequence[Event]) -> Iterator[Topic]:
    yield from _cluster(_of("cluster", events))
    yield from _single("host_count", "Host types", events)
    yield from _single("domain_count", "Domains", events)
    if modules := _modules(events):
        yield Topic("Modules", f"{len(modules)} of MongooseIM's own, loaded {modules.total()} times")
    yield from _single("custom_module_count", "Custom modules", events, ", and nothing else about them")
    for name, topic in _LISTS.items():
        for params in _of(name, events):
            yield Topic(topic, _listed(sorted(params.keys() - {"enabled"})))
    if options := _of("tls_option", events):
        yield Topic("TLS of clients", _listed(" ".join(map(str, params.values())) for params in options))
    if pools := _of("outgoing_pool", events):
        types = Counter(str(params.get("value")) for params in pools)
        yield Topic("Outgoing pools", _listed(f"{pool} ({n})" if n > 1 else pool for pool, n in types.items()))
    for params in _of("xmpp_stanza_count", events):
        text = f"{_number(params, 'total'):,} ({_number(params, 'increment'):,} new)"
        yield Topic(_stanzas(str(params.get("stanza_type"))), text)
    for name, times in Counter(event.name for event in events if event.name not in _WORDED).items():
        yield Topic(name, _count(times, "event"))


def _cluster(nodes: Sequence[Mapping[str, Value]]) -> Iterator[Topic]:
    if not nodes:
        return
    versions = Counter(str(node.get("version", "an unknown release")) for node in nodes)
    yield Topic("MongooseIM", _listed(f"{version} on {_count(times, 'node')}" for version, times in versions.items()))
    uptimes = [_number(node, "uptime_seconds") for node in nodes if "uptime_seconds" in node]
    if uptimes:
        yield Topic("Uptime", " to ".join(dict.fromkeys(map(_span, (min(uptimes), max(uptimes))))))
    if components := [_number(node, "component") for node in nodes if "component" in node]:
        # Never added up: each node counts all that it knows of, so most are counted by several.
        several = " (each node counts those that it knows)" if len(set(components)) > 1 else ""
        yield Topic("External components", f"{_listed(dict.fromkeys(map(str, components)))}{several}")
    if types := dict.fromkeys(str(node["config_type"]) for node in nodes if "config_type" in node):
        yield Topic("Configuration", _listed(types))


def _single(name: str, topic: str, events: Sequence[Event], suffix: str = "") -> Iterator[Topic]:
    for params in _of(name, events):
        yield Topic(topic, f"{params.get('value')}{suffix}")


def _of(name: str, events: Sequence[Event]) -> list[Mapping[str, Value]]:
    return [event.params for event in events if event.name == name]


def _modules(events: Sequence[Event]) -> Counter[str]:
    """On how many host types each module is loaded."""
    modules = Counter[str]()
    for params in _of("module_with_opt", events):
        modules[str(params.get("module", "?"))] += _host_types(params)
    return modules


def _host_types(params: Mapping[str, Value]) -> int:
    """One event is one host type, unless they were aggregated."""
    return _number(params, "host_types", 1)


def _number(params: Mapping[str, Value], name: str, default: int = 0) -> int:
    value = params.get(name, default)
    return value if isinstance(value, int) else default


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _span(seconds: int) -> str:
    """A duration by its two largest units: "3 days 4 h"."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{_count(days, 'day')} {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {seconds % 60} s"


def _stanzas(stanza_type: str) -> str:
    """`xmppMessageSent` as "Messages sent"; a type that is none of MongooseIM's as it is."""
    for kind, word in _KINDS.items():
        for direction in ("Sent", "Received"):
            if stanza_type == f"xmpp{kind}{direction}":
                return f"{word} {direction.lower()}"
    return stanza_type
