"""Our events of a node against those of MongooseIM's own reporter: what agrees, and what explains each difference.

Every difference is meant and documented in docs/differences.md, or it is a bug: a rule here explains a difference only
where it can tell from the facts that this is the one at work.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bridge.mongooseim import known

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridge.mongooseim.answers import NodeAnswer
    from bridge.mongooseim.own_report import OwnEvent, OwnReport
    from bridge.report.model import Event, Value

_ONCE: Final = ("host_count", "domain_count", "custom_module_count", "cluster", "http_api", "transport_mechanism")
"""Events that a node sends once; they are compared param by param."""
_COUNTERS_MOVE: Final = 0.05
"""Counters are read a moment apart; a busy node counts on in between."""


class Deviation(StrEnum):
    """Why an event differs, each a heading of docs/differences.md."""

    PER_HOST_TYPE = "modules per host type"
    STOCK_MODULES = "stock modules without metrics"
    CUSTOM_COUNT = "what counts as custom"
    CUSTOM_NAMES = "custom names stay at home"
    TLS_ALWAYS = "TLS in every release"
    ALL_HANDLERS = "every shipped HTTP handler"
    UPTIME_SECONDS = "uptime as a number"
    VERSION_SUFFIX = "release number only"
    POOL_ONCE = "each pool type once"
    NO_EMPTY_EVENTS = "no empty events"
    ANY_METRICS = "stanzas from whatever metrics are kept"
    NO_CRASH = "a failure costs one fact"


AGREES: Final = "agrees"
UNEXPLAINED: Final = "unexplained"


@dataclass(frozen=True, slots=True)
class Row:
    """One event as both sides have it, `times` times, and the verdict: agrees, a deviation, or unexplained."""

    event: str
    own: str
    ours: str
    times: int
    verdict: str


def compare(own: OwnReport, ours: Sequence[Event], answer: NodeAnswer) -> tuple[Row, ...]:
    """Compare event by event.

    Args:
        own: what MongooseIM's collector gave.
        ours: our events of that node alone, increments counted from nothing as the collector's are.
        answer: the facts behind them.
    """
    if own.failure:
        return (Row("(all)", f"failed: {own.failure}", f"{len(ours)} events", len(ours), Deviation.NO_CRASH),)
    return tuple(_Comparison(own.events, ours, answer).rows())


class _Comparison:
    def __init__(self, own: Sequence[OwnEvent], ours: Sequence[Event], answer: NodeAnswer) -> None:
        self._own = own
        self._ours = [(event.name, event.params) for event in ours]
        self._answer = answer
        self._own_modules = Counter(str(params.get("module")) for name, params in own if name == "module_with_opt")
        self._our_modules = Counter(params["module"] for name, params in self._ours if name == "module_with_opt")

    def rows(self) -> Iterator[Row]:
        for name in dict.fromkeys(name for name, _ in (*self._own, *self._ours)):
            own = [params for event, params in self._own if event == name]
            ours = [params for event, params in self._ours if event == name]
            if name in _ONCE and len(own) <= 1 and len(ours) <= 1:
                yield from self._once(name, own[0] if own else None, ours[0] if ours else None)
            else:
                yield from self._many(name, own, ours)

    def _once(self, name: str, own: Mapping[str, Value] | None, ours: Mapping[str, Value] | None) -> Iterator[Row]:
        if own is None or ours is None:
            empty = own is not None and not own
            verdict = Deviation.NO_EMPTY_EVENTS if empty else UNEXPLAINED
            yield Row(name, _shown(own), _shown(ours), 1, verdict)
            return
        differing = [param for param in {**own, **ours} if not _same(param, own.get(param), ours.get(param))]
        if not differing:
            yield Row(name, _shown(own), _shown(ours), 1, AGREES)
        for param in differing:
            verdict = self._param(name, param, own.get(param), ours.get(param))
            yield Row(name, _shown_param(own, param), _shown_param(ours, param), 1, verdict)

    def _param(self, name: str, param: str, own: Value | None, ours: Value | None) -> str:
        match name, param:
            case "cluster", "uptime_seconds" if own is None:
                return Deviation.UPTIME_SECONDS
            case "cluster", "version" if ours == known.version(str(own).encode()):
                return Deviation.VERSION_SUFFIX
            case "http_api", _ if own is None and param in known.HANDLERS:
                return Deviation.ALL_HANDLERS
            case "custom_module_count", "value" if own == self._counted_as_custom():
                return Deviation.CUSTOM_COUNT
        return UNEXPLAINED

    def _counted_as_custom(self) -> int:
        """What MongooseIM counts as custom: every loaded module that it does not report by name."""
        modules = self._answer.modules
        if modules is None:
            return -1
        stock = {module.name for loaded in modules.by_host_type.values() for module in loaded}
        return len((stock | modules.custom) - self._own_modules.keys())

    def _many(
        self, name: str, own: Sequence[Mapping[str, Value]], ours: Sequence[Mapping[str, Value]]
    ) -> Iterator[Row]:
        own_times = Counter(tuple(sorted(params.items())) for params in own)
        our_times = Counter(tuple(sorted(params.items())) for params in ours)
        for params, times in (own_times & our_times).items():
            yield Row(name, _shown(dict(params)), _shown(dict(params)), times, AGREES)
        left = our_times - own_times
        for params, times in (own_times - our_times).items():
            yield Row(name, _shown(dict(params)), "-", times, self._own_only(name, dict(params), ours))
        for params, times in left.items():
            yield Row(name, "-", _shown(dict(params)), times, self._ours_only(name, dict(params), own))

    def _own_only(self, name: str, params: Mapping[str, Value], ours: Sequence[Mapping[str, Value]]) -> str:
        match name:
            case "module_with_opt":
                module = str(params["module"])
                if module not in known.MODULES or _walled(params, ours):
                    return Deviation.CUSTOM_NAMES
                # It is reported for each host type, also for those where it is not loaded.
                everywhere = self._own_modules[module] == self._answer.host_count
                elsewhere = self._our_modules[module] < self._own_modules[module]
                return Deviation.PER_HOST_TYPE if everywhere and elsewhere else UNEXPLAINED
            case "outgoing_pool":
                if params["value"] not in known.POOLS:
                    return Deviation.CUSTOM_NAMES
                return Deviation.POOL_ONCE if params in ours else UNEXPLAINED
            case "tls_option":
                return Deviation.CUSTOM_NAMES if _walled(params, ours) else UNEXPLAINED
            case "xmpp_stanza_count":
                return AGREES if any(_moved(params, other) for other in ours) else UNEXPLAINED
        return UNEXPLAINED

    def _ours_only(self, name: str, params: Mapping[str, Value], own: Sequence[Mapping[str, Value]]) -> str:
        match name:
            case "module_with_opt":
                if known.CUSTOM in params.values():
                    return Deviation.CUSTOM_NAMES
                return UNEXPLAINED if params["module"] in self._own_modules else Deviation.STOCK_MODULES
            case "outgoing_pool" if params["value"] == known.CUSTOM:
                return Deviation.CUSTOM_NAMES
            case "tls_option":
                if known.CUSTOM in params.values():
                    return Deviation.CUSTOM_NAMES
                return UNEXPLAINED if "module" in params else Deviation.TLS_ALWAYS
            case "xmpp_stanza_count":
                if not own:
                    return Deviation.ANY_METRICS
                return AGREES if any(_moved(other, params) for other in own) else UNEXPLAINED
        return UNEXPLAINED


def _same(param: str, own: Value | None, ours: Value | None) -> bool:
    if param == "uptime" and isinstance(own, str) and isinstance(ours, str):
        # taken from two clocks, which may be on both sides of a second
        return abs(_seconds(own) - _seconds(ours)) <= 1
    return own == ours


def _seconds(uptime: str) -> int:
    days, clock = uptime.split("-")
    hours, minutes, seconds = map(int, clock.split(":"))
    return ((int(days) * 24 + hours) * 60 + minutes) * 60 + seconds


def _moved(before: Mapping[str, Value], after: Mapping[str, Value]) -> bool:
    if before["stanza_type"] != after["stanza_type"]:
        return False
    totals = float(before["total"]), float(after["total"])
    return abs(totals[1] - totals[0]) <= 10 + _COUNTERS_MOVE * max(totals)


def _walled(params: Mapping[str, Value], ours: Sequence[Mapping[str, Value]]) -> bool:
    """Whether ours have this event as the wall leaves it: a value that is not known becomes "custom"."""
    checks = {"mode": known.TLS_MODES, "module": known.MODULES | known.TLS_MODULES, **known.OPTIONS}
    left = {name: value if value in checks.get(name, ()) else known.CUSTOM for name, value in params.items()}
    return left != params and left in ours


def _shown(params: Mapping[str, Value] | None) -> str:
    if params is None:
        return "-"
    return " ".join(f"{name}={value}" for name, value in sorted(params.items())) or "(no params)"


def _shown_param(params: Mapping[str, Value], param: str) -> str:
    return _shown({param: params[param]}) if param in params else "-"
