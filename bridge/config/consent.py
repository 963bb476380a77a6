"""Whether to report: the operator's consent, from DO_NOT_TRACK, `bridge.report`, and MongooseIM's own section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import UNSET

from bridge.config.keys import BRIDGE_REPORT, DO_NOT_TRACK, SERVICE
from bridge.errors import BridgeError, ExitCode
from bridge.log import Line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.config.load import Loaded


class ReportingOff(BridgeError):
    """Reporting is switched off; nothing was sent and nothing written."""

    exit_code = ExitCode.SWITCHED_OFF


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether reports are made, and why."""

    given: bool
    reason: str
    remedy: str = "`mongooseim-bridge preview` shows what would be"
    notice: bool = False
    """Whether the notice is logged at every start: the operator has not said anything."""

    def __str__(self) -> str:
        return f"{'on' if self.given else 'off'}: {self.reason}"


def consent(loaded: Loaded, environ: Mapping[str, str]) -> Consent:
    """Find the effective mode; DO_NOT_TRACK beats the configuration unless it is empty, "0" or "false"."""
    settings, origin = loaded.settings, loaded.origins.get
    if environ.get(DO_NOT_TRACK, "").strip().lower() not in {"", "0", "false"}:
        return Consent(given=False, reason=f"{DO_NOT_TRACK} is set in the environment")
    if (own := settings.bridge.report) is not UNSET:
        return Consent(given=bool(own), reason=f"{BRIDGE_REPORT} = {str(own).lower()} ({origin(BRIDGE_REPORT)})")
    if (given := settings.service.report) is UNSET:
        return Consent(given=True, reason="report is not set", notice=True)
    remedy = f"if that is meant for MongooseIM's own reporter alone, set {BRIDGE_REPORT} = true"
    return Consent(bool(given), f"report = {str(given).lower()} ({origin(f'{SERVICE}.report')})", remedy)


def require(found: Consent) -> None:
    """Go on only where there is consent.

    Raises:
        ReportingOff: the operator said no; the message says how, and what still works.
    """
    if not found.given:
        raise ReportingOff(f"reporting is off: {found.reason}, nothing was sent", found.remedy)


def notice(log_dir: str, destinations: str) -> Line:
    """What an operator who has not said anything reads at every start.

    Args:
        log_dir: where the JSON log is.
        destinations: their names; empty where there is none.
    """
    return Line(
        "notice",
        gathers="versions, uptime, modules and their backends, transports, pools, counts of hosts, domains and stanzas",
        sends_to=destinations or "nobody",
        shows_in=f"{log_dir}/system_metrics_report.json",
        switch_off=f"{BRIDGE_REPORT} = false in the configuration, or {DO_NOT_TRACK}=1",
        silence=f"{BRIDGE_REPORT} = true",
    )
