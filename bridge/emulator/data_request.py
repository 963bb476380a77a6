"""What the Data API is asked: the part of its requests that the emulator answers; all else is refused as unknown."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

_Int64 = int | Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,18}$")]
"""JSON has it as text, for numbers that JavaScript cannot hold."""


class _Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    pass


class Name(_Strict):
    """A dimension or a metric."""

    name: str


class MinuteRange(_Strict):
    """Minutes before now, the older end first."""

    start_minutes_ago: int = 29
    end_minutes_ago: int = 0


class DateRange(_Strict):
    """Days as YYYY-MM-DD, `today`, `yesterday` or `7daysAgo`, the last included."""

    start_date: str
    end_date: str


class Text(_Strict):
    """A filter for one value."""

    value: str
    match_type: Literal["EXACT"] = "EXACT"
    case_sensitive: bool = False


class InList(_Strict):
    """A filter for some values."""

    values: list[str]
    case_sensitive: bool = False


class Filter(_Strict):
    """What the value of a dimension has to be."""

    field_name: str
    string_filter: Text | None = None
    in_list_filter: InList | None = None


class Group(_Strict):
    """Filters that all have to pass."""

    expressions: list[Expression]


class Expression(_Strict):
    """One filter or several."""

    filter: Filter | None = None
    and_group: Group | None = None

    def filters(self) -> list[Filter]:
        """All that have to pass."""
        inner = [each for one in (self.and_group.expressions if self.and_group else []) for each in one.filters()]
        return [self.filter, *inner] if self.filter else inner


class ByMetric(_Strict):
    """Order by a number."""

    metric_name: str


class ByDimension(_Strict):
    """Order by a text."""

    dimension_name: str


class Order(_Strict):
    """One key of the order of rows."""

    metric: ByMetric | None = None
    dimension: ByDimension | None = None
    desc: bool = False


class Report(_Strict):
    """What both kinds of report have."""

    metrics: list[Name]
    dimensions: list[Name] = []
    dimension_filter: Expression | None = None
    order_bys: list[Order] = []
    limit: _Int64 = 10_000
    return_property_quota: bool = False


class RealtimeReport(Report):
    """The last 30 minutes."""

    minute_ranges: list[MinuteRange] = []


class DatedReport(Report):
    """Whole days."""

    date_ranges: list[DateRange] = []
    offset: _Int64 = 0
