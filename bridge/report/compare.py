"""Our events of a node against those of MongooseIM's own reporter: what agrees, and what explains each difference.

Every difference is meant and documented in docs/differences.md, or it is a bug: a rule here explains a difference only
where it can tell from the facts that this is the one at work. An event that a node sends once is compared param by
param, any other as a whole.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bridge.mongooseim.own_report import CUSTOM_NAME
from bridge.mongooseim.wall import CUSTOM
from bridge.report.events import uptime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bridge.mongooseim.answers import NodeAnswer
    from bridge.mongooseim.own_report import OwnReport
    from bridge.report.model import Event, Value

Part = tuple[str, "tuple[tuple[str, Value], ...]"]
"""An event's name and its params, or one of its params."""

_ONCE: Final = {"host_count", "domain_count", "custom_module_count", "cluster", "http_api", "transport_mechanism"}
_BY_PARAM: Final = {*_ONCE, "outgoing_pool"}
"""Events that are compared param by param."""
_EXOMETER_ONLY: Final = ("6.3.", "6.4.", "6.5.")
"""Releases that know prometheus, and whose own reporter sends exometer's zeros also where only prometheus runs."""


class Deviation(StrEnum):
    """Why an event differs, each a heading of docs/differences.md."""

    PER_HOST_TYPE = "modules per host type"
    STOCK_MODULES = "stock modules without metrics"
    CUSTOM_COUNT = "what counts as custom"
    CUSTOM_NAMES = "custom names stay at home"
    TLS_ALWAYS = "TLS in every release"
    ALL_HANDLERS = "every shipped HTTP handler"
    UPTIME_SECONDS = "uptime as a number"
    ONE_DIMENSION = "names in one parameter"
    VERSION_SUFFIX = "release number only"
    COMPONENTS_ONCE = "each component once"
    NO_EMPTY_EVENTS = "no empty events"
    ANY_METRICS = "stanzas from whatever metrics are kept"
    NO_CRASH = "a failure costs one fact"


AGREES: Final = "agrees"
UNEXPLAINED: Final = "unexplained"


@dataclass(frozen=True, slots=True)
class Compared:
    """One event or param as both sides have it, `times` times, and the verdict: agrees, a deviation, or unexplained."""

    event: str
    own: str
    ours: str
    times: int
    verdict: str


def compare(own: OwnReport, ours: Sequence[Event], before: NodeAnswer, after: NodeAnswer) -> tuple[Compared, ...]:
    """Compare event by event.

    Args:
        own: what MongooseIM's collector gave.
        ours: our events of that node alone, increments counted from nothing as the collector's are.
        before: the facts behind them, asked before the collector.
        after: the facts asked after it; counters and times of the collector lie between the two.
    """
    if own.failure:
        return (Compared("(all)", f"failed: {own.failure}", f"{len(ours)} events", len(ours), Deviation.NO_CRASH),)
    names = [name for name, _ in own.events] + [event.name for event in ours]
    return tuple(sorted(_Comparison(own, ours, before, after).rows(), key=lambda row: names.index(row.event)))


class _Comparison:
    def __init__(self, own: OwnReport, ours: Sequence[Event], before: NodeAnswer, after: NodeAnswer) -> None:
        self._own = Counter(_parts(own.events))
        self._ours = Counter(_parts((event.name, event.params) for event in ours))
        self._before = before
        self._after = after
        self._own_modules = _modules(self._own)
        self._our_modules = _modules(self._ours)

    def rows(self) -> Iterator[Compared]:
        for part, times in (self._own & self._ours).items():
            yield Compared(part[0], _shown(part), _shown(part), times, AGREES)
        own, ours = self._own - self._ours, self._ours - self._own
        pairs: dict[tuple[str, object], list[Part | None]] = {}
        for side, parts in enumerate((own, ours)):
            for part in parts:
                pairs.setdefault(_key(part), [None, None])[side] = part
        for (name, _), (theirs, mine) in pairs.items():
            times = max(own[theirs] if theirs else 0, ours[mine] if mine else 0)
            verdict = self._verdict(name, dict(theirs[1]) if theirs else None, dict(mine[1]) if mine else None)
            yield Compared(name, _shown(theirs), _shown(mine), times, verdict)

    def _verdict(self, name: str, own: Mapping[str, Value] | None, ours: Mapping[str, Value] | None) -> str:
        """Why the two differ; None where that side has no counterpart."""
        if own is None:
            return self._ours_only(name, ours or {})
        if not own:
            return Deviation.NO_EMPTY_EVENTS
        # A module is only counted; any other name is sent as the wall leaves it.
        custom_module = name == "module_with_opt" and own.get("module") == CUSTOM_NAME
        if custom_module or _part(name, _walled(own)) in self._ours:
            return Deviation.CUSTOM_NAMES
        return self._own_differs(name, own, ours)

    def _own_differs(self, name: str, own: Mapping[str, Value], ours: Mapping[str, Value] | None) -> str:
        match name, own, ours:
            case "cluster", {"uptime": str(since)}, {"uptime": _} if (
                # It is taken from two clocks, which may be on both sides of a second.
                uptime((self._before.uptime_seconds or 0) - 1) <= since <= uptime((self._after.uptime_seconds or 0) + 1)
            ):
                return AGREES
            case "cluster", {"version": release}, {"version": _} if release == CUSTOM_NAME:
                return Deviation.VERSION_SUFFIX
            case "cluster", {"component": int(listed)}, {"component": int(count)} if (
                # Each node that serves a component lists it once more.
                count < listed <= count * (len(self._before.members) + 1)
            ):
                return Deviation.COMPONENTS_ONCE
            case "custom_module_count", {"value": count}, {} if count == self._counted_as_custom():
                return Deviation.CUSTOM_COUNT
            case "module_with_opt", {"module": str(module)}, None:
                # It is reported for each host type, also for those where it is not loaded.
                everywhere = self._own_modules[module] == self._before.host_count
                elsewhere = self._our_modules[module] < self._own_modules[module]
                return Deviation.PER_HOST_TYPE if everywhere and elsewhere else UNEXPLAINED
            case "xmpp_stanza_count", {"total": 0}, _ if str(self._before.version).startswith(_EXOMETER_ONLY):
                return Deviation.ANY_METRICS
            case "xmpp_stanza_count", {"stanza_type": kind, "total": int(total)}, {} if (
                _total(self._before, kind) <= total <= _total(self._after, kind)
            ):
                return AGREES
        return UNEXPLAINED

    def _ours_only(self, name: str, ours: Mapping[str, Value]) -> str:
        match name, ours:
            case (("http_api" | "transport_mechanism"), {"enabled": _}):
                return Deviation.ONE_DIMENSION
            case "outgoing_pool", {"pool": _}:
                return Deviation.ONE_DIMENSION
            case (("module_with_opt" | "tls_option" | "outgoing_pool"), _) if CUSTOM in ours.values():
                return Deviation.CUSTOM_NAMES
            case "module_with_opt", {"module": str(module)} if module not in self._own_modules:
                return Deviation.STOCK_MODULES
            case "tls_option", _ if "module" not in ours:
                return Deviation.TLS_ALWAYS
            case "cluster", {"uptime_seconds": _}:
                return Deviation.UPTIME_SECONDS
            case "http_api", _ if self._sends(name):
                return Deviation.ALL_HANDLERS
            case "xmpp_stanza_count", _ if not self._sends(name):
                return Deviation.ANY_METRICS
        return UNEXPLAINED

    def _sends(self, name: str) -> bool:
        """Whether MongooseIM's own reporter sends events of this name."""
        return any(sent == name for sent, _ in self._own)

    def _counted_as_custom(self) -> int:
        """What MongooseIM counts as custom: every loaded module that it does not report by name."""
        modules = self._before.modules
        if modules is None or not self._before.host_count:
            return -1
        stock = {module.name for loaded in modules.by_host_type.values() for module in loaded}
        # A custom one that it does report, it reports once for each host type.
        reported = self._own_modules[CUSTOM_NAME] // self._before.host_count
        return len(stock - self._own_modules.keys()) + len(modules.custom) - reported


def _part(name: str, params: Mapping[str, Value]) -> Part:
    return name, tuple(sorted(params.items()))


def _parts(events: Iterable[tuple[str, Mapping[str, Value]]]) -> Iterator[Part]:
    for name, params in events:
        if name in _BY_PARAM and params:
            yield from (_part(name, {param: value}) for param, value in params.items())
        else:
            yield _part(name, params)


def _key(part: Part) -> tuple[str, object]:
    """What two parts that say different things of the same have in common."""
    name, params = part
    if name in _ONCE:
        return name, next((param for param, _ in params), None)
    return name, dict(params).get("stanza_type") if name == "xmpp_stanza_count" else params


def _modules(parts: Counter[Part]) -> Counter[str]:
    times = Counter[str]()
    for (name, params), number in parts.items():
        if name == "module_with_opt":
            times[str(dict(params).get("module"))] += number
    return times


def _total(answer: NodeAnswer, kind: Value) -> int:
    return sum(counts.get(str(kind), 0) for counts in answer.stanzas.values())


def _walled(params: Mapping[str, Value]) -> Mapping[str, Value]:
    """The params as the wall leaves them, of an event that MongooseIM discloses."""
    return {name: CUSTOM if value == CUSTOM_NAME else value for name, value in params.items() if name != CUSTOM_NAME}


def _shown(part: Part | None) -> str:
    return "-" if part is None else " ".join(f"{name}={value}" for name, value in part[1]) or "(no params)"
