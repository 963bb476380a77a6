"""What changed between two reports of one cluster, event by event."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from bridge.report.model import Event, Value

_SUBJECTS: Final = {"module_with_opt": "module", "xmpp_stanza_count": "stanza_type"}
"""The param that says what an event is about, of events that a report has several of."""
_MOVING: Final = frozenset({"uptime", "uptime_seconds", "total", "increment"})
"""Params that hardly ever stay as they were."""


@dataclass(frozen=True, slots=True)
class Change:
    """Events of one name and subject that differ, each as "backend rdbms" or, where there are several, with "×3"."""

    event: str
    subject: str
    """The module or the type of stanza; empty for other events."""
    before: tuple[str, ...]
    """Empty where only the later report has such an event."""
    after: tuple[str, ...]
    """Empty where only the earlier one has."""
    moving: bool
    """Whether nothing but uptimes and numbers of stanzas differs."""


def difference(before: Iterable[Event], after: Iterable[Event]) -> tuple[Change, ...]:
    """What differs, in the order of the events, what is always moving last."""
    old, new = Counter(map(_frozen, before)), Counter(map(_frozen, after))
    groups: defaultdict[tuple[str, str], tuple[_Events, _Events]] = defaultdict(lambda: ([], []))
    for side, events in enumerate((old - new, new - old)):
        for (name, items), times in events.items():
            params = dict(items)
            groups[name, str(params.pop(_SUBJECTS.get(name, ""), ""))][side].append((params, times))
    changes = [_change(name, subject, *sides) for (name, subject), sides in groups.items()]
    names = list(dict.fromkeys(name for name, _ in (*new, *old)))
    return tuple(sorted(changes, key=lambda change: (change.moving, names.index(change.event))))


_Events = list[tuple["dict[str, Value]", int]]
"""The params of different events, and how often there are events like that."""


def _frozen(event: Event) -> tuple[str, tuple[tuple[str, Value], ...]]:
    return event.name, tuple(event.params.items())


def _change(name: str, subject: str, before: _Events, after: _Events) -> Change:
    every = [params for params, _ in before + after]
    # What all have in common, as the release of every node, says nothing of the change.
    common = {param for param, value in every[0].items() if all(each.get(param) == value for each in every)}
    hidden = common if before and after else set[str]()
    told = [tuple(_told(params, hidden, times) for params, times in side) for side in (before, after)]
    lasting = [
        Counter(_told(params, _MOVING, 1) for params, times in side for _ in range(times)) for side in (before, after)
    ]
    return Change(name, subject, told[0], told[1], moving=lasting[0] == lasting[1])


def _told(params: Mapping[str, Value], hidden: Collection[str], times: int) -> str:
    text = ", ".join(f"{param} {value}" for param, value in params.items() if param not in hidden)
    return (text or "without options") + (f" ×{times}" if times > 1 else "")
