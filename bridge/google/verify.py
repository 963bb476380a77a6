"""Proof of arrival: what was delivered, event by event, against what the property has counted.

GA4 answers 2xx to a wrong secret, an unknown property and a broken event alike. Only its counts say what it has kept:
those of the last 30 minutes within a minute, later ones by day within two.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from bridge.google.data import LIVE_MINUTES, counted, live
from bridge.google.errors import GoogleError
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bridge.google.admin import Stream
    from bridge.google.api import Api
    from bridge.state.state import State

LIVE_AGE: Final = timedelta(minutes=LIVE_MINUTES - 1)
"""Reports up to this age are all within the live report."""
LIVE_WAIT: Final = timedelta(minutes=5)
"""What does not show in the live report after this time does not come; Google says seconds."""
LONGEST: Final = timedelta(hours=48)
"""How long Google takes to process an event at most."""
_MINUTE: Final = timedelta(minutes=1)
_REPORTS: Final = 10_000
"""Of which the state is read at most."""


class Word(StrEnum):
    """A verdict in a word."""

    PROCESSED = "processed"
    PARTLY = "partly"
    NOTHING = "nothing"
    NOT_YET = "cannot be told yet"
    UNKNOWN = "nothing to tell"

    @property
    def why(self) -> str:
        """The likely causes, in order."""
        return _CAUSES[self][0]

    @property
    def remedy(self) -> str:
        """What to do; may be empty."""
        return _CAUSES[self][1]


_CAUSES: Final[Mapping[str, tuple[str, str]]] = {
    Word.PROCESSED: ("the property has counted everything", ""),
    Word.NOT_YET: (
        f"it was just sent, or is not processed: Google takes up to {LONGEST // timedelta(hours=1)} hours",
        "ask again later",
    ),
    Word.PARTLY: (
        "a data filter of the property, more than 100,000 events of a Client ID in a day, or a relay that loses some",
        "look at Admin, Data filters; aggregate_modules makes fewer events",
    ),
    Word.NOTHING: (
        "in this order: a wrong or revoked API secret, or one of another stream; a data filter of the property; "
        "a relay that does not pass events on",
        "make a new secret at Admin, Data streams, Measurement Protocol API secrets; look at Admin, Data filters",
    ),
    Word.UNKNOWN: ("nothing was delivered in this time", ""),
}
"""Why, the likely causes first, and what to do."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a destination has taken of a report."""

    collected_at: datetime
    events: Counter[str]
    """By name."""
    report: int = 0
    """Its id."""
    known: bool = False
    """Whether it is known already what became of it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a property has counted of what a destination was sent in some time."""

    destination: str
    period: str
    word: Word
    delivered: int = 0
    counted: int = 0
    """Of these."""
    missing: Mapping[str, int] | None = None
    """Events that are not counted, by name."""

    @property
    def overdue(self) -> bool:
        """Whether something is missing for longer than it may."""
        return self.word in {Word.PARTLY, Word.NOTHING}


def sent(state: State, destination: str, since: datetime, most: int = _REPORTS) -> tuple[Sent, ...]:
    """What a destination has taken of the reports since a moment, the latest first, of so many reports."""
    found = []
    for record in state.status(most).reports:
        at = datetime.fromtimestamp(record.collected_at / MICROSECONDS, UTC)
        if at < since:
            break
        delivery = next((one for one in record.deliveries if one.id == destination), None)
        if delivery and delivery.delivered:
            names = Counter(event.name for event in state.delivered(record.id, destination))
            found.append(Sent(at, names, record.id, delivery.processing is not None))
    return tuple(found)


async def verify(
    api: Api, destination: str, stream: Stream, reports: Sequence[Sent], now: datetime
) -> tuple[Verdict, ...]:
    """Judge the last half hour by the live report, and what is older by the daily one.

    Args:
        api: reading suffices.
        destination: its name, for the verdicts.
        stream: where its measurement id belongs.
        reports: what was delivered.
        now: the time of day.

    Raises:
        GoogleError: Google cannot be asked.
    """
    recent = [one for one in reports if now - one.collected_at <= LIVE_AGE]
    older = [one for one in reports if now - one.collected_at > LIVE_AGE]
    verdicts = [Verdict(destination, "last 30 minutes", Word.UNKNOWN)]
    if recent:
        verdicts = [judge_live(destination, recent, await live(api, stream.property_id, stream.id), now)]
    if older:
        days = (now - min(one.collected_at for one in older)).days + 1
        dimensions = ("dateHourMinute", "eventName")
        counts = await counted(api, stream.property_id, dimensions, days=days, only={"streamId": stream.id})
        by_minute: dict[str, Counter[str]] = {}
        for (minute, name), number in counts.by.items():
            by_minute.setdefault(minute, Counter())[name] += number
        verdicts.append(judge_days(destination, older, by_minute, _zone(counts.time_zone), now))
    return tuple(verdicts)


async def prove(api: Api, stream: Stream, one: Sent, reports: Sequence[Sent], now: datetime) -> Counter[str]:
    """Ask the live report once about one report, and say which of its events are missing, by name.

    Args:
        api: reading suffices.
        stream: where it was sent.
        one: from 5 minutes to half an hour old.
        reports: all of that time; what lies in the same minutes as this one was counted with it.
        now: the time of day.

    Raises:
        GoogleError: Google cannot be asked.
    """
    ago = int((now - one.collected_at) / _MINUTE)
    oldest, newest = min(ago + 1, LIVE_MINUTES - 1), max(ago - 1, 0)
    found = await live(api, stream.property_id, stream.id, oldest=oldest, newest=newest)
    together = [each for each in reports if abs(each.collected_at - one.collected_at) < 2 * _MINUTE]
    return (_sum(together) - found) & one.events


def judge_live(destination: str, reports: Sequence[Sent], found: Counter[str], now: datetime) -> Verdict:
    """Hold reports of the last half hour against the names that the live report has counted."""
    period = "last 30 minutes"
    delivered = _sum(reports)
    missing = delivered - found
    overdue = _sum(one for one in reports if now - one.collected_at > LIVE_WAIT) - found
    return _verdict(destination, period, delivered, missing, overdue)


def judge_days(
    destination: str, reports: Sequence[Sent], found: Mapping[str, Counter[str]], zone: ZoneInfo, now: datetime
) -> Verdict:
    """Hold older reports against the names that the property has counted in each report's minute.

    Args:
        destination: its name.
        reports: what was delivered.
        found: by minute of the property's time zone, as 202601311200.
        zone: that time zone.
        now: the time of day.
    """
    by_minute: dict[str, list[Sent]] = {}
    for one in reports:
        by_minute.setdefault(f"{one.collected_at.astimezone(zone):%Y%m%d%H%M}", []).append(one)
    missing, overdue = Counter[str](), Counter[str]()
    for minute, together in by_minute.items():
        lost = _sum(together) - found.get(minute, Counter())
        missing += lost
        if now - max(one.collected_at for one in together) > LONGEST:
            overdue += lost
    return _verdict(destination, "before that", _sum(reports), missing, overdue)


def _verdict(
    destination: str, period: str, delivered: Counter[str], missing: Counter[str], overdue: Counter[str]
) -> Verdict:
    arrived = delivered.total() - missing.total()
    if not missing:
        word = Word.PROCESSED
    elif not overdue:
        word = Word.NOT_YET
    else:
        word = Word.PARTLY if arrived else Word.NOTHING
    return Verdict(destination, period, word, delivered.total(), arrived, dict(missing))


def _sum(reports: Iterable[Sent]) -> Counter[str]:
    return sum((one.events for one in reports), Counter[str]())


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError) as error:
        remedy = "install the time zones of this system (Debian: tzdata), or pip install tzdata"
        raise GoogleError(f"the property's time zone {name} is not known here", remedy) from error
