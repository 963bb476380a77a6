"""The configuration: is it readable, do the names fit, is there a cookie, are the TLS files and destinations usable?"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, NamedTuple

from bridge.config.errors import ConfigError
from bridge.config.files import exposed
from bridge.delivery.errors import DestinationError

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.app import Installation
    from bridge.config.errors import Problem
    from bridge.doctor.steps import Sheet


class Unusable(NamedTuple):
    """Why the machine's side, the cluster and the destinations cannot be tried; empty where they can."""

    machine: str = ""
    cluster: str = ""
    delivery: str = ""


def examine_configuration(installation: Installation, sheet: Sheet) -> Unusable:
    """Read everything that every command reads, and say each problem at the step that it belongs to."""
    try:
        installation.set_up_log()
    except ConfigError as error:
        reason = "the configuration cannot be read"
        sheet.failed("configuration", error)
        sheet.skip_rest(reason)
        return Unusable(reason, reason, reason)
    file = str(installation.loaded.file or "no file; defaults and environment only")
    sheet.judged("configuration", file, ((doubt.text, doubt.remedy) for doubt in installation.doubts))
    return Unusable("", _access(sheet, installation), _destinations(sheet, installation))


def _access(sheet: Sheet, installation: Installation) -> str:
    steps = ("node names", "cookie file", "TLS files")
    if not installation.role.collects:
        reason = "left to the user of `run --collect-only`: this one can read no cookie"
        sheet.skip_rest(reason, before="destinations")
        return reason
    try:
        way = installation.access
    except ConfigError as error:
        for problem in error.problems:
            sheet.failure(_step(problem), problem.text, problem.remedy)
        for step in steps:
            sheet.judged(step, "usable, as far as the other problems let it be seen", ())
        return "names, cookie or TLS of the configuration cannot be used"
    style = "long names (-name)" if way.entries[0].long else "short names (-sname)"
    whom = ", ".join(map(str, way.entries))
    sheet.ok("node names", f"{whom}; {style}; own name of the service: {way.own_name}")
    _cookie(sheet, way.cookie.origin, way.cookie.path)
    if way.tls is None:
        sheet.skipped("TLS files", "plain TCP: neither [bridge.tls] nor vm.args asks for TLS")
    else:
        verified = "the nodes' certificates are verified" if way.tls.verify else "loaded; nothing is verified"
        sheet.ok("TLS files", verified)
    return ""


def _step(problem: Problem) -> str:
    return "cookie file" if "cookie" in problem.key else "TLS files" if ".tls" in problem.key else "node names"


def _cookie(sheet: Sheet, origin: str, path: Path | None) -> None:
    if path is None:
        sheet.ok("cookie file", f"from {origin}")
    elif problem := exposed(path, "cookie"):
        advice = "put the cookie into a file of mode 0400 or 0440 and name it in bridge.cookie_file"
        remedy = f"whoever reads it can do anything in the cluster: {advice}"
        sheet.warning("cookie file", f"{origin}: {problem.what}", remedy)
    else:
        sheet.ok("cookie file", f"{origin} (mode {stat.S_IMODE(path.stat().st_mode):04o})")


def _destinations(sheet: Sheet, installation: Installation) -> str:
    if not installation.role.delivers:
        reason = "left to the user of `deliver`: this one can read no API secret"
        sheet.skipped("destinations", reason)
        return reason
    try:
        destinations = installation.destinations
        installation.sender()
    except (ConfigError, DestinationError) as error:
        sheet.failed("destinations", error)
        return "the destinations of the configuration cannot be used"
    if not destinations:
        sheet.warning(
            "destinations",
            "none: reports go to the JSON log only",
            "set tracking_id.id and tracking_id.secret_file, or add [[bridge.destinations]], unless that is meant",
        )
        return "no destination is configured"
    tracking, others = installation.settings.service.tracking_id, installation.settings.bridge.destinations
    present = "; API secret present" if tracking.id or any(one.kind != "data-manager" for one in others) else ""
    sheet.ok("destinations", f"{', '.join(one.name for one in destinations)}{present}")
    # Off means off: not even a look at the endpoint.
    return "" if installation.consent.given else f"reporting is off: {installation.consent.reason}"
