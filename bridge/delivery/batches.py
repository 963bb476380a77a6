"""A report cut into requests as GA4 takes them, exactly as they go on the wire; `preview` and the queue share it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.delivery.errors import LimitError
from bridge.delivery.limits import BODY_BYTES, EVENTS_PER_REQUEST, check
from bridge.state.queue import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.report.model import Event, Report

ENGAGEMENT_TIME_MSEC: Final = 100
"""What Google's own examples send; 0 breaks the counting of users."""


@dataclass(frozen=True, slots=True)
class Location:
    """GA4's user_location: what the operator configured of geography, and nothing else."""

    country: str | None = None
    """ISO 3166-1 alpha-2."""
    region: str | None = None
    """ISO 3166-2."""
    city: str | None = None

    def named(self, country: str, region: str, city: str) -> dict[str, str]:
        """What is known, under the names that a destination has for it."""
        parts = {city: self.city, region: self.region, country: self.country}
        return {name: part for name, part in parts.items() if part}


def batches(report: Report, location: Location | None = None) -> tuple[Batch, ...]:
    """Cut a report into GA4 requests of at most 25 events and 120,000 bytes, in the order of its events.

    The time of collection is the request's timestamp_micros and, in seconds, every event's session_id: one report is
    one session. There is no validation_behavior, so GA4 is lenient; the limits were checked here.

    Raises:
        LimitError: GA4 would drop or cut something; every violation is named.
    """
    head: dict[str, object] = {"client_id": report.client_id, "timestamp_micros": report.collected_at}
    if location and (known := location.named("country_id", "region_id", "city")):
        head["user_location"] = known

    def shaped(event: Event) -> object:
        return {"name": event.name, "params": params(event, report)}

    return cut(report, head, shaped, EVENTS_PER_REQUEST, BODY_BYTES)


def params(event: Event, report: Report) -> dict[str, str | int | float]:
    """The parameters of an event with those that delivery adds."""
    session = str(report.collected_at // 1_000_000)
    return {**event.params, "session_id": session, "engagement_time_msec": ENGAGEMENT_TIME_MSEC}


def cut(
    report: Report, head: Mapping[str, object], shaped: Callable[[Event], object], most: int, size: int
) -> tuple[Batch, ...]:
    """Cut a report into requests of at most so many events and bytes, in the order of its events.

    Args:
        report: checked against GA4's limits, whoever takes it first.
        head: all but the events, for each request.
        shaped: an event as it goes on the wire.
        most: events.
        size: bytes.

    Raises:
        LimitError: GA4 would drop or cut something; every violation is named.
    """
    if violations := check(report.client_id, report.events):
        raise LimitError(violations)
    start = json_of({**head, "events": []}).removesuffix(_TAIL)
    found, first, length, parts = list[Batch](), 0, len(start), list[bytes]()
    for index, part in enumerate(json_of(shaped(event)) for event in report.events):
        if parts and (len(parts) == most or length + len(part) + len(_TAIL) > size):
            found.append(Batch(first, len(parts), start + b",".join(parts) + _TAIL))
            first, length, parts = index, len(start), []
        parts.append(part)
        length += len(part) + 1
    if parts:
        found.append(Batch(first, len(parts), start + b",".join(parts) + _TAIL))
    return tuple(found)


_TAIL: Final = b"]}"


def json_of(value: object) -> bytes:
    """A value as it goes on the wire."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
