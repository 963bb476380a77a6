"""The Analytics Data API v1beta: how many events arrived, live and by day, by what the bridge asks for.

A name that is not registered fails the whole request, and what arrived before it was registered shows as "(not set)",
as in GA4. Unlike there, every event counts at once, in every report. Source:
developers.google.com/analytics/devguides/reporting/data/v1/rest/v1beta
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from bridge.emulator.google_json import Message, Refusal, decode
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bridge.emulator.ga_property import GaProperty
    from bridge.emulator.google_json import Call
    from bridge.emulator.record import RecordedEvent

_NOT_SET: Final = "(not set)"
_LARGEST_LIMIT: Final = 250_000
_WINDOW: Final = 30
"""Minutes of the live report, of a standard property."""
_SCHEMA: Final = "https://developers.google.com/analytics/devguides/reporting/data/v1/api-schema"

_Int64 = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,18}$")]
"""JSON has it as text, for numbers that JavaScript cannot hold."""
_MinutesAgo = Annotated[int, msgspec.Meta(ge=0, lt=_WINDOW)]


class _Dimension(Message):
    name: str


class _Metric(Message):
    name: Literal["eventCount"]


class _Text(Message):
    value: str
    match_type: Literal["EXACT"] = "EXACT"


class _Filter(Message):
    field_name: str
    string_filter: _Text


class _One(Message):
    filter: _Filter


class _All(Message):
    expressions: list[_One]


class _Expression(Message):
    filter: _Filter | None = None
    and_group: _All | None = None


class _MinuteRange(Message):
    """The older end first."""

    start_minutes_ago: _MinutesAgo = _WINDOW - 1
    end_minutes_ago: _MinutesAgo = 0


class _DateRange(Message):
    """The last day included."""

    start_date: str
    end_date: str


class _Report(Message, kw_only=True):
    """What both kinds of report have."""

    dimensions: Annotated[list[_Dimension], msgspec.Meta(max_length=9)]
    metrics: Annotated[list[_Metric], msgspec.Meta(min_length=1, max_length=1)]
    dimension_filter: _Expression = msgspec.field(default_factory=_Expression)
    limit: _Int64 = "10000"
    offset: _Int64 = "0"


class _Live(_Report, kw_only=True):
    minute_ranges: Annotated[list[_MinuteRange], msgspec.Meta(min_length=1, max_length=1)]


class _Dated(_Report, kw_only=True):
    date_ranges: Annotated[list[_DateRange], msgspec.Meta(min_length=1, max_length=1)]


_Value = Callable[["RecordedEvent"], str]


def run_realtime_report(call: Call) -> dict[str, object]:
    """`:runRealtimeReport`: the last 30 minutes; no custom definition can be asked for.

    Raises:
        Refusal: 400, the request breaks a rule.
    """
    report = decode(call.body, _Live)
    (minutes,) = report.minute_ranges
    last = datetime.fromtimestamp(call.now, UTC)
    first, end = (last - timedelta(minutes=ago) for ago in (minutes.start_minutes_ago + 1, minutes.end_minutes_ago))
    events = (event for event in _taken(call) if first < _time(event) <= end)
    return {**_table(report, events, _plain(call.place)), "kind": "analyticsData#runRealtimeReport"}


def run_report(call: Call) -> dict[str, object]:
    """`:runReport`: whole days of the property, whose time zone is UTC here.

    Raises:
        Refusal: 400, the request breaks a rule or has a name that is not registered.
    """
    report = decode(call.body, _Dated)
    (days,) = report.date_ranges
    today = datetime.fromtimestamp(call.now, UTC).date()
    first, end = _day(days.start_date, today), _day(days.end_date, today)
    events = (event for event in _taken(call) if first <= _time(event).date() <= end)
    minute: dict[str, _Value] = {"dateHourMinute": lambda event: f"{_time(event):%Y%m%d%H%M}"}
    defined = call.place.definitions["customDimensions"].items()
    custom = {f"customEvent:{name}": _custom(name, each.created) for name, each in defined}
    zone = {"currencyCode": "USD", "timeZone": "Etc/UTC"}
    table = _table(report, events, _plain(call.place) | minute | custom)
    return {**table, "metadata": zone, "kind": "analyticsData#runReport"}


def _taken(call: Call) -> Iterator[RecordedEvent]:
    """What arrived at the property and was taken."""
    return (each for each in call.events if each.accepted and each.measurement_id == call.place.measurement_id)


def _time(event: RecordedEvent) -> datetime:
    """When it happened, as its sender says, or else when it arrived."""
    sent = event.timestamp_micros
    return datetime.fromisoformat(event.received) if sent is None else datetime.fromtimestamp(sent / MICROSECONDS, UTC)


def _plain(place: GaProperty) -> dict[str, _Value]:
    return {"eventName": lambda event: event.name or "", "streamId": lambda _: place.stream}


def _custom(parameter: str, created: float) -> _Value:
    def value(event: RecordedEvent) -> str:
        known = datetime.fromisoformat(event.received).timestamp() >= created
        return str(event.params.get(parameter, _NOT_SET)) if known else _NOT_SET

    return value


def _table(report: _Report, events: Iterable[RecordedEvent], values: Mapping[str, _Value]) -> dict[str, object]:
    """Filter, count and cut."""
    wanted = report.dimension_filter
    filters = [wanted.filter] if wanted.filter else []
    filters += [each.filter for each in wanted.and_group.expressions] if wanted.and_group else []
    shown = [each.name for each in report.dimensions]
    for name in (*shown, *(each.field_name for each in filters)):
        if name not in values:
            text = f"Field {name} is not a valid dimension. For a list of valid dimensions and metrics, see {_SCHEMA} "
            raise Refusal(400, text)
    start, limit = int(report.offset), int(report.limit)
    if not 0 < limit <= _LARGEST_LIMIT:
        raise Refusal(400, f"A limit is from 1 to {_LARGEST_LIMIT}.")
    rows = Counter(
        tuple(values[name](event) for name in shown)
        for event in events
        if all(values[each.field_name](event) == each.string_filter.value for each in filters)
    )
    table: dict[str, object] = {
        "dimensionHeaders": [{"name": name} for name in shown],
        "metricHeaders": [{"name": "eventCount", "type": "TYPE_INTEGER"}],
        "rows": [
            {"dimensionValues": [{"value": text} for text in key], "metricValues": [{"value": str(number)}]}
            for key, number in [*rows.items()][start : start + limit]
        ],
        "rowCount": len(rows),
    }
    return {name: value for name, value in table.items() if value}


def _day(text: str, today: date) -> date:
    ago = "0" if text == "today" else text.removesuffix("daysAgo")
    try:
        return today - timedelta(int(ago)) if ago != text else date.fromisoformat(text)
    except (ValueError, OverflowError):
        raise Refusal(400, f"Invalid date: {text}.") from None
