"""Where reports are to go, from the settings: `tracking_id` and every `[[bridge.destinations]]`, with their secrets."""

from __future__ import annotations

import logging
import os
import re
import stat
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from bridge.config.errors import ConfigError, Problem
from bridge.config.files import exposed, read_secret
from bridge.config.keys import SERVICE
from bridge.config.model import GA4_ENDPOINT
from bridge.log import Line
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.config.load import Loaded
    from bridge.config.model import BridgeSection, Settings

log = logging.getLogger(__name__)

READABLE_BY_OTHERS: Final = stat.S_IRWXO
_PLACEHOLDER_ID: Final = re.compile(r"G-(X+|Y+)")
_PLACEHOLDER_SECRETS: Final = frozenset({"Secret"})
"""MongooseIM's documentation and our own example have it."""
_MEASUREMENT_ID: Final = re.compile(r"G-[A-Z0-9]+")


class WantedDestination(NamedTuple):
    """One GA4 property behind one endpoint, and where the configuration names it."""

    key: str
    where: str
    measurement_id: str
    secret: Secret | None
    """None where it was not asked for."""
    endpoint: str


class _Section(NamedTuple):
    """A destination as it is configured, with every place where its secret may be."""

    key: str
    measurement_id: str
    sources: Mapping[str, object]
    endpoint: str
    plain: bool = False


def destinations(loaded: Loaded, environ: Mapping[str, str], *, secrets: bool = True) -> tuple[WantedDestination, ...]:
    """Every destination with its secret; none configured gives none, and reports go to the JSON log only.

    Args:
        loaded: the configuration.
        environ: the environment.
        secrets: without, they are not looked at.

    Raises:
        ConfigError: with every problem: a secret that is missing, unreadable or given twice, the same property twice.
    """
    problems: list[Problem] = []
    wanted: list[WantedDestination] = []
    for section in _sections(loaded.settings):
        key, measurement_id, sources, endpoint, plain = section
        where = loaded.where(key)
        problems.extend(Problem(where, key, *flaw) for flaw in _flaws(measurement_id, endpoint, plain=plain))
        if any((measurement_id, endpoint) == (other.measurement_id, other.endpoint) for other in wanted):
            twice = f"{measurement_id} is configured twice at the same endpoint"
            problems.append(Problem(where, key, twice, "everything would be counted twice: remove one"))
        try:
            secret = _secret(loaded, environ, key, sources) if secrets else None
        except ConfigError as error:
            problems.extend(error.problems)
        else:
            wanted.append(WantedDestination(key, where, measurement_id, secret, endpoint))
    tracking = loaded.settings.service.tracking_id
    if not tracking.id and (tracking.secret or tracking.secret_file):
        problems.append(Problem("", f"{SERVICE}.tracking_id.id", "is missing", "GA4 shows it as G-XXXXXXXX"))
    if problems:
        raise ConfigError(problems)
    if secrets:
        _warn_of_inline_secrets(loaded)
    return tuple(wanted)


def readable_secrets(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Where this process can read an API secret: the place in the configuration, and the key."""
    for section in _sections(loaded.settings):
        for name, value in section.sources.items():
            key = f"{section.key}.{name}"
            if value and _readable(name, value, environ):
                yield loaded.origins.get(key, ""), key


def _readable(name: str, value: object, environ: Mapping[str, str]) -> bool:
    if isinstance(value, Secret):
        return True
    return bool(environ.get(str(value))) if name.endswith("_env") else os.access(str(value), os.R_OK)


def _sections(settings: Settings) -> Iterator[_Section]:
    tracking = settings.service.tracking_id
    if tracking.id:
        sources: dict[str, object] = {"secret": tracking.secret, "secret_file": tracking.secret_file}
        yield _Section(f"{SERVICE}.tracking_id", tracking.id, sources, GA4_ENDPOINT)
    for number, one in enumerate(settings.bridge.destinations):
        sources = {
            "api_secret": one.api_secret,
            "api_secret_file": one.api_secret_file,
            "api_secret_env": one.api_secret_env,
        }
        key = f"bridge.destinations[{number}]"
        yield _Section(key, one.measurement_id, sources, one.endpoint, one.allow_plain_http)


def _flaws(measurement_id: str, endpoint: str, *, plain: bool) -> Iterator[tuple[str, str]]:
    """What is wrong with a destination, and what to do, as far as it can be seen without its secret."""
    if _PLACEHOLDER_ID.fullmatch(measurement_id):
        yield f"{measurement_id} is a placeholder", "GA4 shows the id of your property at Admin, Data streams"
    if not plain and endpoint.lower().startswith("http://") and not loopback(endpoint):
        yield "the API secret would travel unencrypted", "use https, or set allow_plain_http = true for this endpoint"


def loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    try:
        name = (urlsplit(url).hostname or "").removesuffix(".")
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def location(bridge: BridgeSection) -> tuple[str | None, str | None, str | None]:
    """Country, region and city that GA4 is told of: what the operator wrote, nothing unless they did."""
    place = bridge.user_location
    return place.country, place.region, place.city


def _warn_of_inline_secrets(loaded: Loaded) -> None:
    """A configuration file that holds a secret itself is a file with a secret."""
    inline = [key for key, origin in loaded.origins.items() if _is_secret(key) and origin.startswith(f"{loaded.file}:")]
    if inline and loaded.file and (reason := exposed(loaded.file, READABLE_BY_OTHERS)):
        warn_exposed(", ".join(inline), loaded.file, reason)


def _is_secret(key: str) -> bool:
    return key.rpartition(".")[2] in {"secret", "api_secret"}


def _secret(loaded: Loaded, environ: Mapping[str, str], key: str, sources: Mapping[str, object]) -> Secret:
    given = {name: value for name, value in sources.items() if value}
    names = " or ".join(sources)
    if len(given) != 1:
        what = f"has {len(given)} secrets" if given else "has no secret"
        raise ConfigError([Problem(loaded.where(key), key, what, f"give one of {names}")])
    ((name, value),) = given.items()
    full, where = f"{key}.{name}", loaded.where(f"{key}.{name}")
    if isinstance(value, Secret):
        secret = value
    elif name.endswith("_env"):
        secret = Secret(environ.get(str(value), "").strip())
        if not secret or not secret.reveal().isprintable():
            what = f"the variable {value} {'does not hold one line of text' if secret else 'is not set'}"
            raise ConfigError([Problem(where, full, what, "it should hold the API secret")])
    else:
        path = Path(str(value))
        secret = read_secret(path, full)
        if reason := exposed(path, READABLE_BY_OTHERS):
            warn_exposed(full, path, reason)
    if secret.reveal() in _PLACEHOLDER_SECRETS or _MEASUREMENT_ID.fullmatch(secret.reveal()):
        what = "is a placeholder or a measurement id where the API secret should be"
        remedy = "GA4 shows it at Admin, Data streams, Measurement Protocol API secrets"
        raise ConfigError([Problem(where, full, what, remedy)])
    return secret


def warn_exposed(key: str, path: Path, reason: str) -> None:
    """Log that others can read the file of a secret."""
    log.warning(Line("secret_file_exposed", key=key, problem=f"{path} {reason}", remedy=f"run: chmod 0400 {path}"))
