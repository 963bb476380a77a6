"""Whether to report: the operator's consent, from DO_NOT_TRACK and from `report` of MongooseIM's own section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from bridge.errors import BridgeError, ExitCode
from bridge.log import Line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.config.model import ServiceSection

DO_NOT_TRACK: Final = "DO_NOT_TRACK"


class ReportingOff(BridgeError):
    """Reporting is switched off; nothing was sent and nothing written."""

    exit_code = ExitCode.SWITCHED_OFF


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether reports are made, and why."""

    given: bool
    reason: str
    notice: bool = False
    """Whether the notice is logged at every start: the operator has not said anything."""


def consent(service: ServiceSection, environ: Mapping[str, str]) -> Consent:
    """Find the effective mode; DO_NOT_TRACK beats the configuration unless it is empty, "0" or "false"."""
    if environ.get(DO_NOT_TRACK, "").strip().lower() not in {"", "0", "false"}:
        return Consent(given=False, reason="DO_NOT_TRACK is set in the environment")
    if service.report is UNSET:
        return Consent(given=True, reason="report is not set", notice=True)
    if service.report:
        return Consent(given=True, reason="report = true")
    return Consent(given=False, reason="report = false in the configuration")


def require(found: Consent) -> None:
    """Go on only where there is consent.

    Raises:
        ReportingOff: the operator said no; the message says how, and what still works.
    """
    if not found.given:
        raise ReportingOff(
            f"reporting is off: {found.reason}; nothing was sent", "`mongooseim-bridge preview` shows what would be"
        )


def notice(log_dir: str, destinations: str) -> Line:
    """What an operator who has not said anything is told at every start.

    Args:
        log_dir: where the JSON log is.
        destinations: their names; empty where there is none.
    """
    return Line(
        "notice",
        gathers="versions, uptime, modules and their backends, transports, pools, counts of hosts, domains and stanzas",
        sends_to=destinations or "nobody",
        shows_in=f"{log_dir}/system_metrics_report.json",
        switch_off=f"report = false in the configuration, or {DO_NOT_TRACK}=1",
        silence="report = true",
    )
