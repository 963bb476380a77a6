"""Where reports are to go, from the settings: `tracking_id` and every `[[bridge.destinations]]`, with their secrets."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from bridge.config.errors import ConfigError, Problem, Problems
from bridge.config.files import one_line, read_secret
from bridge.config.keys import SERVICE
from bridge.config.model import Destination
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.config.load import Loaded
    from bridge.config.model import BridgeSection, Google, TrackingId

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
    """Empty for Google's own."""
    property_id: str = ""
    """Set where reports go there by the Data Manager API."""


def destinations(loaded: Loaded, environ: Mapping[str, str], *, secrets: bool = True) -> tuple[WantedDestination, ...]:
    """Every destination with its secret; none configured gives none, and reports go to the JSON log only.

    Args:
        loaded: the configuration.
        environ: the environment.
        secrets: without, they are not looked at.

    Raises:
        ConfigError: with every problem: a secret that is missing, unreadable or given twice, the same property twice.
    """
    problems = Problems()
    wanted: list[WantedDestination] = []
    for key, one, sources in _configured(loaded):
        where = loaded.where(key)
        managed, google = one.kind == "data-manager", loaded.settings.bridge.google
        flaws = (*_flaws(one), *(_flaws_of_managed(one, google) if managed else ()))
        problems += (Problem(where, key, *flaw) for flaw in flaws)
        endpoint = (problems.attempt(google_endpoint, loaded) or "") if managed else one.endpoint
        property_id = one.property_id or google.property_id or "" if managed else ""
        if any((one.measurement_id, endpoint) == (other.measurement_id, other.endpoint) for other in wanted):
            twice = f"{one.measurement_id} is configured twice at the same endpoint"
            problems.append(Problem(where, key, twice, "everything would be counted twice: remove one"))
        secret = problems.attempt(_secret, loaded, environ, key, sources) if secrets and not managed else None
        wanted.append(WantedDestination(key, where, one.measurement_id, secret, endpoint, property_id))
    tracking = loaded.settings.service.tracking_id
    if not tracking.id and (tracking.secret or tracking.secret_file):
        problems.append(Problem("", f"{SERVICE}.tracking_id.id", "is missing", "GA4 shows it as G-XXXXXXXX"))
    problems.check()
    return tuple(wanted)


def _configured(loaded: Loaded) -> Iterator[tuple[str, Destination, dict[str, Secret | str | None]]]:
    """The key of each destination, itself, and every place of its secret by key; MongooseIM's section has the first."""
    tracking = loaded.settings.service.tracking_id
    if tracking.id:
        yield f"{SERVICE}.tracking_id", Destination(tracking.id), _sources(tracking)
    for number, one in enumerate(loaded.settings.bridge.destinations):
        yield f"bridge.destinations[{number}]", one, _sources(one)


def _sources(holder: Destination | TrackingId) -> dict[str, Secret | str | None]:
    return {name: getattr(holder, name) for name in holder.__struct_fields__ if "secret" in name}


def _flaws(one: Destination) -> Iterator[tuple[str, str]]:
    """What is wrong with a destination, and what to do, as far as it can be seen without its secret."""
    if _PLACEHOLDER_ID.fullmatch(one.measurement_id):
        yield f"{one.measurement_id} is a placeholder", "GA4 shows the id of your property at Admin, Data streams"
    if not one.allow_plain_http and one.endpoint.lower().startswith("http://") and not loopback(one.endpoint):
        yield "the API secret would travel unencrypted", "use https, or set allow_plain_http = true for this endpoint"


def _flaws_of_managed(one: Destination, google: Google) -> Iterator[tuple[str, str]]:
    """What is wrong with a destination of the Data Manager API, which has neither secret nor endpoint of its own."""
    unused = ("api_secret", "api_secret_file", "api_secret_env", "endpoint", "allow_plain_http")
    if given := [name for name in unused if getattr(one, name) != getattr(Destination(one.measurement_id), name)]:
        remedy = "remove it: the credentials and the endpoint of [bridge.google] are used"
        yield f"has no use for {' and '.join(given)} with kind data-manager", remedy
    if not (one.property_id or google.property_id):
        yield "has no property_id", "GA4 shows it at Admin, Property details; it is not the measurement id"


def _secret(loaded: Loaded, environ: Mapping[str, str], key: str, sources: Mapping[str, Secret | str | None]) -> Secret:
    given = [(name, value) for name, value in sources.items() if value]
    if len(given) != 1:
        what = f"has {len(given)} secrets" if given else "has no secret"
        raise ConfigError([Problem(loaded.where(key), key, what, f"give one of {' or '.join(sources)}")])
    ((name, value),) = given
    full = f"{key}.{name}"
    where = loaded.where(full)
    if isinstance(value, Secret):
        secret = value
    elif name.endswith("_env"):
        if not environ.get(value):
            raise ConfigError([Problem(where, full, f"the variable {value} is not set", "it should hold the secret")])
        secret = one_line(environ[value], f"environment {value}", full)
    else:
        secret = read_secret(Path(value), full)
    if secret.reveal() in _PLACEHOLDER_SECRETS or _MEASUREMENT_ID.fullmatch(secret.reveal()):
        what = "is a placeholder or a measurement id where the API secret should be"
        remedy = "GA4 shows it at Admin, Data streams, Measurement Protocol API secrets"
        raise ConfigError([Problem(where, full, what, remedy)])
    return secret


def google_endpoint(loaded: Loaded) -> str:
    """Base URL of all of Google's APIs, without a slash at its end; empty for Google's own hosts.

    Raises:
        ConfigError: tokens would travel unencrypted.
    """
    endpoint = loaded.settings.bridge.google.endpoint.rstrip("/")
    if endpoint and not (endpoint.startswith("https://") or loopback(endpoint)):
        key, what = "bridge.google.endpoint", "is not an https address, and access tokens would travel unencrypted"
        raise ConfigError([Problem(loaded.where(key), key, what, "leave it out to ask Google itself")])
    return endpoint


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
