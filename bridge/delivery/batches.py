"""A report cut into requests as GA4 takes them, exactly as they go on the wire; `preview` and the queue share it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.delivery.errors import LimitError
from bridge.delivery.limits import BODY_BYTES, EVENTS_PER_REQUEST, check
from bridge.state.queue import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    head = _head(report, location)
    session = str(report.collected_at // 1_000_000)
    first, size, parts = 0, len(head), list[bytes]()
    for index, event in enumerate(report.events):
        part = _json({"name": event.name, "params": _params(event, session)})
        if parts and (len(parts) == EVENTS_PER_REQUEST or size + len(part) + len(_TAIL) > BODY_BYTES):
            yield Batch(first, len(parts), head + b",".join(parts) + _TAIL)
            first, size, parts = index, len(head), []
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield Batch(first, len(parts), head + b",".join(parts) + _TAIL)


def _params(event: Event, session: str) -> dict[str, str | int | float]:
    return {**event.params, "session_id": session, "engagement_time_msec": ENGAGEMENT_TIME_MSEC}


_TAIL: Final = b"]}"


def _head(report: Report, location: Location | None) -> bytes:
    """The request up to its first event; all but `events` holds for the request as a whole."""
    head: dict[str, object] = {"client_id": report.client_id, "timestamp_micros": report.collected_at}
    if location and (known := _location(location)):
        head["user_location"] = known
    return _json({**head, "events": []}).removesuffix(_TAIL)


def _location(location: Location) -> dict[str, str]:
    parts = {"city": location.city, "region_id": location.region, "country_id": location.country}
    return {name: part for name, part in parts.items() if part}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
