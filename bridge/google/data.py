"""The Google Analytics Data API: what a property has counted, live and by day.

Source: developers.google.com/analytics/devguides/reporting/data/v1/rest (v1beta). The live report knows no custom
definitions, so it can count events by name only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from bridge.google.api import DATA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridge.google.api import Api

LIVE_MINUTES: Final = 30
"""How far the live report of a standard property reaches back."""
_ROWS: Final = 10_000
"""In one answer."""


class _Value(msgspec.Struct):
    value: str = ""


class _Row(msgspec.Struct, rename="camel"):
    dimension_values: list[_Value] = []
    metric_values: list[_Value] = []


class _Metadata(msgspec.Struct, rename="camel"):
    time_zone: str = ""
    data_loss_from_other_row: bool = False
    subject_to_thresholding: bool = False
    sampling_metadatas: list[msgspec.Raw] = []


class _Report(msgspec.Struct, rename="camel"):
    rows: list[_Row] = []
    row_count: int = 0
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many events a property has counted, by the values of some dimensions."""

    by: Mapping[tuple[str, ...], int]
    time_zone: str
    """The property's, for dates; empty in the live report."""
    caveats: tuple[str, ...]
    """Why the numbers may be less than the truth."""


async def live(
    api: Api, property_id: str, stream_id: str, *, oldest: int = LIVE_MINUTES - 1, newest: int = 0
) -> Counter[str]:
    """The events of the last 30 minutes that came in by a stream, by name.

    Args:
        api: reading suffices.
        property_id: whose events.
        stream_id: of a stream of that property.
        oldest: minutes ago, less than 30.
        newest: minutes ago, the last that counts.

    Raises:
        GoogleError: they cannot be had.
    """
    body = {
        "dimensions": [{"name": "eventName"}],
        "metrics": [{"name": "eventCount"}],
        "minuteRanges": [{"startMinutesAgo": oldest, "endMinutesAgo": newest}],
        "dimensionFilter": _only("streamId", stream_id),
    }
    report = await api.post(DATA, f"properties/{property_id}:runRealtimeReport", body, _Report)
    return Counter({name: count for (name,), count in _rows(report)})


async def counted(
    api: Api, property_id: str, dimensions: Sequence[str], *, days: int, only: Mapping[str, str]
) -> Counts:
    """Events of the last days, today included, by the values of some dimensions.

    Args:
        api: reading suffices.
        property_id: whose events.
        dimensions: as the Data API names them; a custom one is `customEvent:parameter`.
        days: before today.
        only: dimensions and the value that they are to have.

    Raises:
        BadRequest: a custom definition is missing.
        GoogleError: they cannot be had.
    """
    body: dict[str, object] = {
        "dateRanges": [{"startDate": f"{days}daysAgo", "endDate": "today"}],
        "dimensions": [{"name": name} for name in dimensions],
        "metrics": [{"name": "eventCount"}],
        "dimensionFilter": {"andGroup": {"expressions": [_only(*each) for each in only.items()]}},
        "limit": str(_ROWS),
    }
    by = Counter[tuple[str, ...]]()
    offset = 0
    while True:
        path = f"properties/{property_id}:runReport"
        report = await api.post(DATA, path, {**body, "offset": str(offset)}, _Report)
        by.update(dict(_rows(report)))
        offset += len(report.rows)
        if not report.rows or offset >= report.row_count:
            return Counts(by, report.metadata.time_zone, tuple(_caveats(report.metadata)))


def _only(dimension: str, value: str) -> dict[str, object]:
    return {"filter": {"fieldName": dimension, "stringFilter": {"matchType": "EXACT", "value": value}}}


def _rows(report: _Report) -> Iterator[tuple[tuple[str, ...], int]]:
    for row in report.rows:
        yield tuple(each.value for each in row.dimension_values), int(row.metric_values[0].value)


def _caveats(metadata: _Metadata) -> Iterator[str]:
    if metadata.subject_to_thresholding:
        yield "Google leaves out rows with few users (thresholding)"
    if metadata.data_loss_from_other_row:
        yield 'Google has put rows together as "(other)": the property has too many different values'
    if metadata.sampling_metadatas:
        yield "Google has counted a sample only"
