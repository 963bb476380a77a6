"""The GA4 properties that reports go to, from the settings: `tracking_id` and every `[[bridge.destinations]]`."""

from __future__ import annotations

import logging
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.config.errors import ConfigError, Problem
from bridge.config.load import SERVICE
from bridge.config.secrets import exposed, read_secret
from bridge.delivery.batches import Location
from bridge.delivery.errors import DestinationError
from bridge.delivery.ga4 import GLOBAL_ENDPOINT, Ga4Destination
from bridge.log import Line
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.config.load import Loaded
    from bridge.config.model import BridgeSection

log = logging.getLogger(__name__)

_READABLE_BY_OTHERS: Final = stat.S_IRWXO


def destinations(loaded: Loaded, environ: Mapping[str, str]) -> tuple[Ga4Destination, ...]:
    """Every destination with its secret; none configured gives none, and reports go to the JSON log only.

    Raises:
        ConfigError: with every problem: a secret that is missing, unreadable or given twice, the same property twice.
    """
    settings = loaded.settings
    place = location(settings.bridge)
    problems: list[Problem] = []
    found: list[Ga4Destination] = []

    def add(key: str, measurement_id: str, sources: Mapping[str, object], endpoint: str) -> None:
        try:
            destination = Ga4Destination(measurement_id, _secret(loaded, environ, key, sources), endpoint, place)
        except ConfigError as error:
            problems.extend(error.problems)
        except DestinationError as error:
            problems.append(Problem(loaded.origins.get(key, ""), key, str(error)))
        else:
            if any(destination.id == other.id for other in found):
                message = f"{destination.name} is configured twice: everything would be counted twice"
                problems.append(Problem(loaded.origins.get(key, ""), key, message))
            found.append(destination)

    tracking = settings.service.tracking_id
    if tracking.id:
        sources = {"secret": tracking.secret, "secret_file": tracking.secret_file}
        add(f"{SERVICE}.tracking_id", tracking.id, sources, GLOBAL_ENDPOINT)
    elif tracking.secret or tracking.secret_file:
        problems.append(Problem("", f"{SERVICE}.tracking_id.id", "is missing; GA4 shows it as G-XXXXXXXX"))
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
    return tuple(found)


def location(bridge: BridgeSection) -> Location:
    """What GA4 is told of geography: what the operator wrote, nothing unless they did."""
    place = bridge.user_location
    return Location(place.country, place.region, place.city)


def _warn_of_inline_secrets(loaded: Loaded) -> None:
    """A configuration file that holds a secret itself is a file with a secret."""
    inline = [key for key, origin in loaded.origins.items() if _is_secret(key) and origin.startswith(f"{loaded.file}:")]
    if inline and loaded.file and (reason := exposed(loaded.file, _READABLE_BY_OTHERS)):
        log.warning(Line("secret_file_exposed", key=", ".join(inline), problem=f"{loaded.file} {reason}"))


def _is_secret(key: str) -> bool:
    return key.rpartition(".")[2] in {"secret", "api_secret"}


def _secret(loaded: Loaded, environ: Mapping[str, str], key: str, sources: Mapping[str, object]) -> Secret:
    given = {name: value for name, value in sources.items() if value}
    names = " or ".join(sources)
    if len(given) != 1:
        message = f"give one of {names}, not {len(given)}" if given else f"has no secret; give {names}"
        raise ConfigError([Problem(loaded.origins.get(f"{key}.id", loaded.origins.get(key, "")), key, message)])
    ((name, value),) = given.items()
    if isinstance(value, Secret):
        return value
    if name.endswith("_env"):
        text = environ.get(str(value), "").strip()
        if not text:
            message = f"the variable {value} is not set; it should hold the API secret"
            raise ConfigError([Problem(loaded.origins.get(f"{key}.{name}", ""), f"{key}.{name}", message)])
        return Secret(text)
    path = Path(str(value))
    if reason := exposed(path, _READABLE_BY_OTHERS):
        log.warning(Line("secret_file_exposed", key=f"{key}.{name}", problem=f"{path} {reason}"))
    return read_secret(path, f"{key}.{name}")
