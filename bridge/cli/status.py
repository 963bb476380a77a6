"""`status`: last and next report, the nodes, the queue and deliveries by destination."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridge.cli.command import Command
from bridge.cli.context import echo_json, format_option, pass_installation
from bridge.cli.table import table
from bridge.config.errors import ConfigError
from bridge.service.reporting import new_facts
from bridge.state.status import StatusDocument
from bridge.times import distance, moment

if TYPE_CHECKING:
    from bridge.app import Installation
    from bridge.state.status import DestinationStatus, Status


@click.command(name="status", cls=Command)
@format_option("table", "json", document=StatusDocument)
@pass_installation
def command(installation: Installation, form: str) -> None:
    """Show whether reports are made, the last and the next one, and what waits for each destination and why."""
    configured: dict[str, str] = {}
    try:
        configured = installation.configured
    except ConfigError as error:
        click.echo(f"destinations cannot be used: {error}", err=True)
    with installation.state(look=True) as state:
        status = installation.document(state, configured)
    if form == "json":
        echo_json(status)
    else:
        click.echo(_as_text(status, installation))


def _as_text(status: StatusDocument, installation: Installation) -> str:
    now, health = status.now, installation.settings.bridge.health
    lines = [f"reporting: {'on' if status.reporting else 'off'}, {status.reason}"]
    if last := status.last_report:
        lines.append(
            f"last report: {last.id}, {moment(last.collected_at)} ({distance(last.collected_at, now)}), "
            f"{last.events} events from {len(last.nodes)} nodes"
        )
        lines += [f"note: {note}" for note in last.notes]
    else:
        lines.append("last report: none yet")
    said = last.notes if last else ()
    lines += [f"note: {note}" for note in new_facts(status.agreed, installation.settings) if note not in said]
    lines.append(f"next report: {_next(status)}")
    if status.service and health.port:
        lines.append(f"page: http://{f'[{health.host}]' if ':' in health.host else health.host}:{health.port}/")
    for node in status.nodes:
        if node.missing_since:
            lines.append(f"missing: {node.name} since {moment(node.missing_since)}: {node.reason}")
    if not status.destinations:
        return "\n".join([*lines, "destinations: none, reports go to the JSON log only"])
    headers = ("destination", "queued", "oldest", "delivered", "rejected", "dropped", "state")
    listed = [
        (
            one.name if one.configured else f"{one.name} (not configured)",
            one.queued_events,
            distance(one.oldest, now) if one.oldest else None,
            distance(one.delivered_at, now) if one.delivered_at else None,
            one.rejected,
            ", ".join(f"{events} {reason}" for reason, events in one.dropped.items()) or 0,
            _state(one),
        )
        for one in status.destinations
    ]
    notes = [f"{one.name}: of what was delivered, {one.processing}" for one in status.destinations if one.processing]
    notes += [_error(one, now) for one in status.destinations if one.error]
    return "\n".join([*lines, "", table(headers, listed).rstrip(), *([""] if notes else []), *notes])


def _next(status: Status) -> str:
    service = status.service
    if service is None or service.next_report_at is None:
        return "not planned; `run` is not running"
    planned = f"{moment(service.next_report_at)} ({distance(service.next_report_at, status.now)})"
    return f"{planned}; the service was last seen {distance(service.seen_at, status.now)}"


def _state(one: DestinationStatus) -> str:
    if one.failing_since is not None:
        return "failing"
    return "ok" if one.delivered_at else "nothing delivered"


def _error(one: DestinationStatus, now: int) -> str:
    since = f" ({distance(one.error_at, now)})" if one.error_at else ""
    return f"{one.name}: last error{since}: {one.error}"
