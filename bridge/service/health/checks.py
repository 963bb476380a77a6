"""Alive and ready, decided on what the service says of itself; each check is None or the reason why not.

Alive is about this process and nothing else: restarting it does not mend a cluster that is out of reach. Ready is about
its job: a report was made, and the last one is not too old.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from bridge.service.state import ServiceState


def not_alive(state: ServiceState, loop_time: float) -> str | None:
    """Why the service is stuck: its loop said by when it would have come round again, and it has not.

    Args:
        state: of the service.
        loop_time: seconds of the event loop's clock.
    """
    late = loop_time - state.alive_until
    return f"the reporting loop is stuck: {late:.0f} s later than it should have come round" if late > 0 else None


def not_ready(state: ServiceState, now: int) -> str | None:
    """Why the service is not doing its job: no report since it started, or none for more than two periods.

    Within two periods a report was made on time and the next may still be in its retries.

    Args:
        state: of the service.
        now: microseconds since 1970.
    """
    if state.last_report_at is None or not state.reports:
        due = f"; the next attempt is at {_shown(state.next_report_at)}" if state.next_report_at else ""
        failed = f"; {_failures(state)}" if state.failures else ""
        return f"no report since the start at {_shown(state.started_at)}{failed}{due}"
    if state.failures and now > state.last_report_at + 2 * state.period * MICROSECONDS:
        return f"the last report is of {_shown(state.last_report_at)}; {_failures(state)}"
    return None


def _failures(state: ServiceState) -> str:
    attempts = "1 attempt" if state.failures == 1 else f"{state.failures} attempts in a row"
    return f"{attempts} collected nothing: {state.error}"


def _shown(moment: int) -> str:
    return datetime.fromtimestamp(moment // MICROSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
