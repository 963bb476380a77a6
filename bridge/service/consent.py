"""Whether to report: the operator's consent, from DO_NOT_TRACK and from `report` of MongooseIM's own section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.config.model import ServiceSection

DO_NOT_TRACK: Final = "DO_NOT_TRACK"


class ReportingOff(BridgeError):
    """Reporting is switched off; nothing was sent and nothing written."""


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


def require(service: ServiceSection, environ: Mapping[str, str]) -> Consent:
    """The consent, where there is one.

    Raises:
        ReportingOff: the operator said no; the message says how, and what still works.
    """
    found = consent(service, environ)
    if not found.given:
        raise ReportingOff(
            f"reporting is off: {found.reason}; nothing was sent. `mongooseim-bridge preview` shows what would be"
        )
    return found
