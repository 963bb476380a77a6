"""Where reports are to go, from the settings: `tracking_id` and every `[[bridge.destinations]]`, with their secrets."""

from __future__ import annotations

import logging
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.config.errors import ConfigError, Problem
from bridge.config.load import SERVICE
from bridge.config.model import GA4_ENDPOINT
from bridge.config.secrets import exposed, read_secret
from bridge.log import Line
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.config.load import Loaded
    from bridge.config.model import BridgeSection

log = logging.getLogger(__name__)

_READABLE_BY_OTHERS: Final = stat.S_IRWXO


class WantedDestination(NamedTuple):
    """One GA4 property behind one endpoint, and where the configuration names it."""

    key: str
    where: str
    measurement_id: str
    secret: Secret
    endpoint: str


def destinations(loaded: Loaded, environ: Mapping[str, str]) -> tuple[WantedDestination, ...]:
    """Every destination with its secret; none configured gives none, and reports go to the JSON log only.

    Raises:
        ConfigError: with every problem: a secret that is missing, unreadable or given twice, the same property twice.
    """
    settings = loaded.settings
    problems: list[Problem] = []
    wanted: list[WantedDestination] = []

    def add(key: str, measurement_id: str, sources: Mapping[str, object], endpoint: str) -> None:
        where = loaded.origins.get(key, "")
        if any((measurement_id, endpoint) == (other.measurement_id, other.endpoint) for other in wanted):
            twice = f"{measurement_id} is configured twice at the same endpoint"
            problems.append(Problem(where, key, twice, "everything would be counted twice: remove one"))
        try:
            secret = _secret(loaded, environ, key, sources)
        except ConfigError as error:
            problems.extend(error.problems)
        else:
            wanted.append(WantedDestination(key, where, measurement_id, secret, endpoint))

    tracking = settings.service.tracking_id
    if tracking.id:
        sources = {"secret": tracking.secret, "secret_file": tracking.secret_file}
        add(f"{SERVICE}.tracking_id", tracking.id, sources, GA4_ENDPOINT)
    elif tracking.secret or tracking.secret_file:
        problems.append(Problem("", f"{SERVICE}.tracking_id.id", "is missing", "GA4 shows it as G-XXXXXXXX"))
    for number, section in enumerate(settings.bridge.destinations):
        sources = {
            "api_secret": section.api_secret,
            "api_secret_file": section.api_secret_file,
            "api_secret_env": section.api_secret_env,
        }
        add(f"bridge.destinations[{number}]", section.measurement_id, sources, section.endpoint)
    if problems:
        raise ConfigError(problems)
    _warn_of_inline_secrets(loaded)
    return tuple(wanted)


def location(bridge: BridgeSection) -> tuple[str | None, str | None, str | None]:
    """Country, region and city that GA4 is told of: what the operator wrote, nothing unless they did."""
    place = bridge.user_location
    return place.country, place.region, place.city


def _warn_of_inline_secrets(loaded: Loaded) -> None:
    """A configuration file that holds a secret itself is a file with a secret."""
    inline = [key for key, origin in loaded.origins.items() if _is_secret(key) and origin.startswith(f"{loaded.file}:")]
    if inline and loaded.file and (reason := exposed(loaded.file, _READABLE_BY_OTHERS)):
        log.warning(
            Line(
                "secret_file_exposed",
                key=", ".join(inline),
                problem=f"{loaded.file} {reason}",
                remedy=f"run: chmod 0400 {loaded.file}",
            )
        )


def _is_secret(key: str) -> bool:
    return key.rpartition(".")[2] in {"secret", "api_secret"}


def _secret(loaded: Loaded, environ: Mapping[str, str], key: str, sources: Mapping[str, object]) -> Secret:
    given = {name: value for name, value in sources.items() if value}
    names = " or ".join(sources)
    if len(given) != 1:
        what = f"has {len(given)} secrets" if given else "has no secret"
        where = loaded.origins.get(f"{key}.id", loaded.origins.get(key, ""))
        raise ConfigError([Problem(where, key, what, f"give one of {names}")])
    ((name, value),) = given.items()
    if isinstance(value, Secret):
        return value
    if name.endswith("_env"):
        text = environ.get(str(value), "").strip()
        if not text:
            where = loaded.origins.get(f"{key}.{name}", "")
            unset = f"the variable {value} is not set"
            raise ConfigError([Problem(where, f"{key}.{name}", unset, "it should hold the API secret")])
        return Secret(text)
    path = Path(str(value))
    if reason := exposed(path, _READABLE_BY_OTHERS):
        log.warning(
            Line(
                "secret_file_exposed", key=f"{key}.{name}", problem=f"{path} {reason}", remedy=f"run: chmod 0400 {path}"
            )
        )
    return read_secret(path, f"{key}.{name}")
