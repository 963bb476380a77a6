"""The Analytics Data API v1beta: reports over what arrived, live and by day, and the names that can be asked for.

A name that is not registered fails the whole request, and what arrived before it was registered shows as "(not set)",
as in GA4. Unlike there, every event counts at once, in every report. Source:
developers.google.com/analytics/devguides/reporting/data/v1/rest/v1beta
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from bridge.emulator.data_request import DatedReport, RealtimeReport
from bridge.emulator.google_json import Refusal, decode

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from bridge.emulator.data_request import Filter, Order, Report
    from bridge.emulator.ga_property import Definition, GaProperty

_NOT_SET: Final = "(not set)"
_MOST_DIMENSIONS: Final = 9
_LARGEST_LIMIT: Final = 250_000
_WINDOW: Final = 30
"""Minutes of the live report, of a standard property."""
_SCHEMA: Final = "https://developers.google.com/analytics/devguides/reporting/data/v1/api-schema"
_DAYS_AGO: Final = re.compile(r"(\d{1,5})daysAgo")
_DATES: Final = {"date": "%Y%m%d", "dateHour": "%Y%m%d%H", "dateHourMinute": "%Y%m%d%H%M"}


_QUOTA: Final = {
    "tokensPerDay": {"consumed": 1, "remaining": 199_999},
    "tokensPerHour": {"consumed": 1, "remaining": 39_999},
    "concurrentRequests": {"remaining": 10},
    "serverErrorsPerProjectPerHour": {"remaining": 10},
    "potentiallyThresholdedRequestsPerHour": {"remaining": 120},
    "tokensPerProjectPerHour": {"consumed": 1, "remaining": 13_999},
}
"""As if every request were the first."""


@dataclass(frozen=True, slots=True)
class Counted:
    """An event that the property counts."""

    at: datetime
    """When it happened, as its sender says, or else when it arrived."""
    received: float
    """Seconds since 1970."""
    name: str
    params: Mapping[str, object]


_Dimension = Callable[[Counted], str]
_Row = tuple[tuple[str, ...], list[float]]


@dataclass(frozen=True, slots=True)
class _Metric:
    kind: str
    value: Callable[[Sequence[Counted]], float]


_METRICS: Final = {"eventCount": _Metric("TYPE_INTEGER", len)}


def run_realtime_report(place: GaProperty, events: Iterable[Counted], body: bytes, now: float) -> dict[str, object]:
    """`:runRealtimeReport`: the last 30 minutes; no custom definition can be asked for.

    Raises:
        Refusal: 400, the request breaks a rule.
    """
    report = decode(body, RealtimeReport)
    last = datetime.fromtimestamp(now, UTC)

    def minutes_ago(event: Counted) -> int:
        return int((last - event.at).total_seconds() // 60)

    ranges = [(each.start_minutes_ago, each.end_minutes_ago) for each in report.minute_ranges] or [(_WINDOW - 1, 0)]
    if len(ranges) > 1 or not _WINDOW > ranges[0][0] >= ranges[0][1] >= 0:
        raise Refusal(400, f"One range of minutes is answered here, within the last {_WINDOW}.")
    within = [event for event in events if ranges[0][1] <= minutes_ago(event) <= ranges[0][0]]
    dimensions: dict[str, _Dimension] = {**_plain(place), "minutesAgo": lambda event: f"{minutes_ago(event):02}"}
    table = _table(report, within, dimensions, _METRICS)
    return {**table, "kind": "analyticsData#runRealtimeReport"}


def run_report(place: GaProperty, events: Iterable[Counted], body: bytes, now: float) -> dict[str, object]:
    """`:runReport`: whole days of the property, whose time zone is UTC here.

    Raises:
        Refusal: 400, the request breaks a rule or has a name that is not registered.
    """
    report = decode(body, DatedReport)
    if len(report.date_ranges) != 1:
        raise Refusal(400, "One range of dates is answered here.")
    today = datetime.fromtimestamp(now, UTC).date()
    first, end = _day(report.date_ranges[0].start_date, today), _day(report.date_ranges[0].end_date, today)
    within = [event for event in events if first <= event.at.date() <= end]
    dimensions = _plain(place) | _dates() | _custom_dimensions(place)
    table = _table(report, within, dimensions, _METRICS | _custom_metrics(place))
    zone = {"currencyCode": "USD", "timeZone": "Etc/UTC"}
    return {**table, "metadata": zone, "kind": "analyticsData#runReport"}


def metadata(place: GaProperty) -> dict[str, object]:
    """`/metadata`: every name that `:runReport` takes."""
    plain, custom = _plain(place) | _dates(), _custom_dimensions(place)
    return {
        "name": f"properties/{place.id}/metadata",
        "dimensions": [
            {"apiName": name, "uiName": name, "customDefinition": name in custom} for name in (*plain, *custom)
        ],
        "metrics": [
            {"apiName": name, "uiName": name, "type": metric.kind, "customDefinition": name not in _METRICS}
            for name, metric in (_METRICS | _custom_metrics(place)).items()
        ],
    }


def _plain(place: GaProperty) -> dict[str, _Dimension]:
    return {
        "eventName": lambda event: event.name,
        "platform": lambda _: "web",
        "streamId": lambda _: place.stream,
    }


def _dates() -> dict[str, _Dimension]:
    def dimension(form: str) -> _Dimension:
        return lambda event: event.at.strftime(form)

    return {name: dimension(form) for name, form in _DATES.items()}


def _custom_dimensions(place: GaProperty) -> dict[str, _Dimension]:
    def dimension(parameter: str, created: float) -> _Dimension:
        return lambda event: str(event.params.get(parameter, _NOT_SET)) if event.received >= created else _NOT_SET

    definitions = place.of_events("customDimensions").items()
    return {f"customEvent:{name}": dimension(name, each.created) for name, each in definitions}


def _custom_metrics(place: GaProperty) -> dict[str, _Metric]:
    """The sum of each parameter since it was registered; Google has its average and its count too."""

    def metric(parameter: str, definition: Definition) -> _Metric:
        def total(events: Sequence[Counted]) -> float:
            return sum(_number(event.params.get(parameter)) for event in events if event.received >= definition.created)

        return _Metric(f"TYPE_{definition.resource['measurementUnit']}", total)

    return {f"customEvent:{name}": metric(name, each) for name, each in place.of_events("customMetrics").items()}


def _number(value: object) -> float:
    """A parameter as a metric: a number, or a text that holds one."""
    try:
        return float(value) if isinstance(value, int | float | str) else 0
    except ValueError:
        return 0


def _table(
    report: Report,
    events: Sequence[Counted],
    dimensions: Mapping[str, _Dimension],
    metrics: Mapping[str, _Metric],
) -> dict[str, object]:
    """Group, count, order and cut."""
    filters = report.dimension_filter.filters() if report.dimension_filter else []
    shown, counted = [each.name for each in report.dimensions], [each.name for each in report.metrics]
    _refuse_unknown("dimension", [*shown, *(each.field_name for each in filters)], dimensions)
    _refuse_unknown("metric", counted, metrics)
    if not report.metrics or len(report.dimensions) > _MOST_DIMENSIONS:
        raise Refusal(400, f"A report has at least one metric and at most {_MOST_DIMENSIONS} dimensions.")
    groups = defaultdict[tuple[str, ...], list[Counted]](list)
    for event in events:
        if all(_passes(each, dimensions[each.field_name](event)) for each in filters):
            groups[tuple(dimensions[name](event) for name in shown)].append(event)
    rows = [(key, [metrics[name].value(group) for name in counted]) for key, group in groups.items()]
    _sort(rows, report.order_bys, shown, counted)
    start, limit = int(getattr(report, "offset", 0)), int(report.limit)
    if not 0 < limit <= _LARGEST_LIMIT or start < 0:
        raise Refusal(400, f"A limit is from 1 to {_LARGEST_LIMIT}, an offset not negative.")
    table: dict[str, object] = {
        "dimensionHeaders": [{"name": name} for name in shown],
        "metricHeaders": [{"name": name, "type": metrics[name].kind} for name in counted],
        "rows": [
            {
                "dimensionValues": [{"value": text} for text in key],
                "metricValues": [{"value": f"{number:g}" if number % 1 else str(int(number))} for number in numbers],
            }
            for key, numbers in rows[start : start + limit]
        ],
        "rowCount": len(rows),
    }
    quota = {"propertyQuota": _QUOTA} if report.return_property_quota else {}
    return {name: value for name, value in table.items() if value} | quota


def _passes(each: Filter, value: str) -> bool:
    allowed = [each.string_filter.value] if each.string_filter else []
    allowed += each.in_list_filter.values if each.in_list_filter else []
    exact = any(one and one.case_sensitive for one in (each.string_filter, each.in_list_filter))
    return value in allowed if exact else value.lower() in map(str.lower, allowed)


def _refuse_unknown(what: str, wanted: Iterable[str], known: Container[str]) -> None:
    for name in wanted:
        if name not in known:
            text = f"Field {name} is not a valid {what}. For a list of valid dimensions and metrics, see {_SCHEMA} "
            raise Refusal(400, text)


def _sort(rows: list[_Row], orders: Sequence[Order], shown: Sequence[str], counted: Sequence[str]) -> None:
    """Sort by each key in turn, the least one first: rows that are equal keep their order."""
    for order in reversed(orders):
        by_text = order.dimension is not None
        name = order.dimension.dimension_name if order.dimension else order.metric.metric_name if order.metric else ""
        names = shown if by_text else counted
        if name not in names:
            raise Refusal(400, "A report is ordered by what it shows.")
        rows.sort(key=_column(0 if by_text else 1, names.index(name)), reverse=order.desc)


def _column(part: Literal[0, 1], index: int) -> Callable[[_Row], str | float]:
    return lambda row: row[part][index]


def _day(text: str, today: date) -> date:
    ago = {"today": "0daysAgo", "yesterday": "1daysAgo"}.get(text, text)
    try:
        return today - timedelta(int(match[1])) if (match := _DAYS_AGO.fullmatch(ago)) else date.fromisoformat(ago)
    except (ValueError, OverflowError):
        raise Refusal(400, f"Invalid date: {text}.") from None
