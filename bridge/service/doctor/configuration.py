"""The configuration: can it be read, do the names fit, is there a cookie, are the TLS files and destinations usable?"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.config.access import access
from bridge.config.cookie import find_cookie
from bridge.config.destinations import destinations
from bridge.config.errors import ConfigError
from bridge.config.secrets import exposed
from bridge.config.vm_args import read_vm_args
from bridge.delivery.errors import DestinationError
from bridge.service.doctor.steps import Chain, Findings, Section, Step, failed, listed, ok, skipped, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.config.access import Access
    from bridge.config.load import Loaded
    from bridge.config.vm_args import VmArgs
    from bridge.delivery.ga4 import Ga4Destination


@dataclass
class Configuration:
    """What the steps find out of the configuration, for each other and for the sections after it."""

    load: Callable[[], Loaded]
    environ: Mapping[str, str] = field(repr=False)
    loaded: Loaded | None = None
    access: Access | None = None
    destinations: tuple[Ga4Destination, ...] | None = None

    @property
    def read(self) -> Loaded:
        """The configuration, in steps that come after its reading."""
        assert self.loaded
        return self.loaded

    @property
    def vm_args(self) -> VmArgs | None:
        """What the installation's vm.args say, where they are named."""
        path = self.read.settings.bridge.vm_args
        return read_vm_args(Path(path)) if path else None


def file(patient: Configuration) -> Findings:
    """Read it; all problems at once."""
    patient.loaded = patient.load()
    return ok(str(patient.loaded.file or "no file; defaults and environment only"))


def names(patient: Configuration) -> Findings:
    """Whatever keeps us from knowing whom to call and as whom; cookie and TLS have steps of their own."""
    try:
        found = patient.access = access(patient.read, patient.environ)
    except ConfigError as error:
        others = [each for each in error.problems if "cookie" not in each.key and ".tls" not in each.key]
        return failed(ConfigError(others)) if others else skipped("told with the cookie and the TLS files below")
    style = "long names (-name)" if found.entries[0].long else "short names (-sname)"
    whom = listed([str(entry) for entry in found.entries])
    return ok(f"{whom}; {style}; own name of the service: {found.own_name}")


def cookie(patient: Configuration) -> Findings:
    """Find it, and look at who may read it."""
    found = find_cookie(patient.read.settings.bridge, patient.vm_args, patient.environ)
    path = Path(found.origin.removeprefix("-setcookie in "))
    if not path.is_file():
        return ok(f"from {found.origin}")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & stat.S_IRWXO:
        return warning(
            f"{found.origin}, which others can read (mode {mode:04o})",
            "whoever reads it can do anything in the cluster: put the cookie into a file of mode 0400 or 0440 and "
            "name it in bridge.cookie_file",
        )
    return ok(f"{found.origin} (mode {mode:04o})")


def tls(patient: Configuration) -> Findings:
    """CA, certificate and key, loaded as for a connection."""
    from bridge.config.tls import dist_tls  # noqa: PLC0415 - ssl is slow to import, and most clusters have none

    found = dist_tls(patient.read, patient.vm_args)
    if found is None:
        return skipped("plain TCP: neither [bridge.tls] nor vm.args asks for TLS")
    return ok("the nodes' certificates are verified" if found.client.verify else "loaded; nothing is verified")


def properties(patient: Configuration) -> Findings:
    """Where reports go: an API secret for each, and a usable proxy and CA file."""
    found = destinations(patient.read, patient.environ)
    if not found:
        patient.destinations = found
        return warning(
            "none: reports go to the JSON log only",
            "set tracking_id.id and tracking_id.secret_file, or add [[bridge.destinations]], unless that is meant",
        )
    from bridge.delivery.proxies import proxy_for  # noqa: PLC0415 - without destinations there is no need for it
    from bridge.service.reporting import make_sender  # noqa: PLC0415

    bridge = patient.read.settings.bridge
    try:
        make_sender(bridge, patient.environ)
        for destination in found:
            proxy_for(destination.endpoint, bridge.proxy, patient.environ)
    except DestinationError as error:
        return failed(error, "name a file with CA certificates in PEM form, or leave it to the system's")
    patient.destinations = found
    open_to_others = [
        reason.partition("; ") for path in _secret_files(patient.read) if (reason := exposed(path, stat.S_IRWXO))
    ]
    if open_to_others:
        return [warning(f"a file with an API secret {what}", advice) for what, _, advice in open_to_others]
    return ok(f"{listed([each.name for each in found])}; API secret present")


def _secret_files(loaded: Loaded) -> list[Path]:
    tracking, others = loaded.settings.service.tracking_id, loaded.settings.bridge.destinations
    return [Path(path) for path in (tracking.secret_file, *(each.api_secret_file for each in others)) if path]


CONFIGURATION: Final = Chain(
    Section.CONFIGURATION,
    (
        Step("configuration", "file, environment and options can be read, every key and value is known", file),
        Step("node names", "they are names, and the own one is short or long as theirs are", names, 10.0, vital=False),
        Step("cookie file", "a cookie is found, and nobody else can read it", cookie, vital=False),
        Step("TLS files", "CA, certificate and key can be loaded; skipped for plain TCP", tls, vital=False),
        Step("destinations", "each has its API secret; proxy and CA file are usable", properties, vital=False),
    ),
)
