"""`status`: last and next report, the queue and deliveries by destination."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bridge.cli.context import AppContext, format_option, pass_app
from bridge.times import distance, moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.delivery.destination import Destination
    from bridge.delivery.records import DestinationRecord, Status
    from bridge.service.consent import Consent


@click.command(name="status")
@format_option("table", "json")
@pass_app
def command(app: AppContext, form: str) -> None:
    """Show whether reports are made, the last and the next one, and what waits for each destination and why."""
    from bridge.config.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it
    from bridge.delivery.errors import NoStore  # noqa: PLC0415
    from bridge.delivery.records import Status, status  # noqa: PLC0415
    from bridge.service.consent import consent  # noqa: PLC0415
    from bridge.service.reporting import open_store  # noqa: PLC0415

    allowed = consent(app.settings.service, app.environ)
    try:
        configured: Sequence[Destination] = app.destinations
    except ConfigError as error:
        configured = ()
        click.echo(f"destinations cannot be used: {error}", err=True)
    try:
        with open_store(app.settings.bridge, create=False) as store:
            found = status(store)
    except NoStore:
        found = Status(None, None, None, ())
    rows = tuple(_with_configured(found.destinations, configured))
    click.echo(_as_json(found, rows, allowed) if form == "json" else _as_text(found, rows, allowed))


def _with_configured(
    records: Sequence[DestinationRecord], configured: Sequence[Destination]
) -> Iterator[tuple[DestinationRecord, bool]]:
    """What is known of every destination, and whether it is configured now; what was never reported to comes last."""
    from bridge.delivery.records import DestinationRecord  # noqa: PLC0415 - as above

    ids = {destination.id for destination in configured}
    yield from ((record, record.id in ids) for record in records)
    known = {record.id for record in records}
    yield from (
        (DestinationRecord(destination.id, destination.name), True)
        for destination in configured
        if destination.id not in known
    )


def _as_json(found: Status, rows: Sequence[tuple[DestinationRecord, bool]], allowed: Consent) -> str:
    return json.dumps(
        {
            "reporting": allowed.given,
            "reason": allowed.reason,
            "last_report": asdict(found.last_report) if found.last_report else None,
            "next_report_at": found.next_report_at,
            "service_seen_at": found.service_seen_at,
            "destinations": [{**asdict(record), "configured": configured} for record, configured in rows],
        },
        indent=2,
    )


def _as_text(found: Status, rows: Sequence[tuple[DestinationRecord, bool]], allowed: Consent) -> str:
    from bridge.report.table import table  # noqa: PLC0415 - as above

    now = time.time_ns() // 1000
    lines = [f"reporting: {'on' if allowed.given else 'off'}, {allowed.reason}"]
    if last := found.last_report:
        lines.append(
            f"last report: {last.id}, {moment(last.collected_at)} ({distance(last.collected_at, now)}), "
            f"{last.events} events from {len(last.nodes)} nodes"
        )
    else:
        lines.append("last report: none yet")
    lines.append(f"next report: {_next(found, now)}")
    if not rows:
        return "\n".join([*lines, "destinations: none, reports go to the JSON log only"])
    headers = ("destination", "queued", "oldest", "delivered", "rejected", "dropped", "state")
    listed = [
        (
            record.name if configured else f"{record.name} (not configured)",
            record.events,
            distance(record.oldest, now) if record.oldest else None,
            distance(record.delivered_at, now) if record.delivered_at else None,
            record.dead_events,
            ", ".join(f"{drop.events} {drop.reason}" for drop in record.drops) or 0,
            _state(record),
        )
        for record, configured in rows
    ]
    errors = [_error(record, now) for record, _ in rows if record.error]
    return "\n".join([*lines, "", table(headers, listed).rstrip(), *([""] if errors else []), *errors])


def _next(found: Status, now: int) -> str:
    if found.next_report_at is None:
        return "not planned; `run` is not running"
    planned = f"{moment(found.next_report_at)} ({distance(found.next_report_at, now)})"
    seen = f"; the service was last seen {distance(found.service_seen_at, now)}" if found.service_seen_at else ""
    return f"{planned}{seen}"


def _state(record: DestinationRecord) -> str:
    if record.retry_at is not None:
        return "failing"
    return "ok" if record.delivered_at else "nothing delivered"


def _error(record: DestinationRecord, now: int) -> str:
    since = f" ({distance(record.error_at, now)})" if record.error_at else ""
    return f"{record.name}: last error{since}: {record.error}"
