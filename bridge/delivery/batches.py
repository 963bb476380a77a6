"""A report cut into requests as GA4 takes them, exactly as they go on the wire; `preview` and the queue share it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.delivery.errors import LimitError
from bridge.delivery.limits import BODY_BYTES, EVENTS_PER_REQUEST, check
from bridge.state.queue import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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


def batches(report: Report, location: Location | None = None) -> tuple[Batch, ...]:
    """Cut a report into GA4 requests of at most 25 events and 120,000 bytes, in the order of its events.

    The time of collection is the request's timestamp_micros and, in seconds, every event's session_id: one report is
    one session. There is no validation_behavior, so GA4 is lenient; the limits were checked here.

    Raises:
        LimitError: GA4 would drop or cut something; every violation is named.
    """
    if violations := check(report.client_id, report.events):
        raise LimitError(violations)
    return tuple(_batches(report, location))


def _batches(report: Report, location: Location | None) -> Iterator[Batch]:
    head: dict[str, object] = {"client_id": report.client_id, "timestamp_micros": report.collected_at}
    if location and (known := _location(location)):
        head["user_location"] = known
    events = ({"name": event.name, "params": params(event, report)} for event in report.events)
    return cut(head, events, EVENTS_PER_REQUEST, BODY_BYTES)


def params(event: Event, report: Report) -> dict[str, str | int | float]:
    """The parameters of an event with those that delivery adds."""
    session = str(report.collected_at // 1_000_000)
    return {**event.params, "session_id": session, "engagement_time_msec": ENGAGEMENT_TIME_MSEC}


def cut(head: Mapping[str, object], events: Iterable[object], most: int, size: int) -> Iterator[Batch]:
    """Requests of at most so many events and bytes; all but `events` holds for each request as a whole."""
    start = json_of({**head, "events": []}).removesuffix(_TAIL)
    first, length, parts = 0, len(start), list[bytes]()
    for index, event in enumerate(events):
        part = json_of(event)
        if parts and (len(parts) == most or length + len(part) + len(_TAIL) > size):
            yield Batch(first, len(parts), start + b",".join(parts) + _TAIL)
            first, length, parts = index, len(start), []
        parts.append(part)
        length += len(part) + 1
    if parts:
        yield Batch(first, len(parts), start + b",".join(parts) + _TAIL)


_TAIL: Final = b"]}"


def _location(location: Location) -> dict[str, str]:
    parts = {"city": location.city, "region_id": location.region, "country_id": location.country}
    return {name: part for name, part in parts.items() if part}


def json_of(value: object) -> bytes:
    """A value as it goes on the wire."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
