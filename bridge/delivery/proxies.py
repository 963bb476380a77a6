"""Which proxy leads to a host: the configured one, else what the environment says, as curl and Python read it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.delivery.errors import DestinationError
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping


def proxy_for(url: str, configured: Secret | None, environ: Mapping[str, str]) -> Secret | None:
    """The proxy's URL for a request, or None to go straight. It may hold a password and is a secret for that.

    Args:
        url: where the request goes.
        configured: bridge.proxy; beats the environment, NO_PROXY included.
        environ: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in either case; lower case wins.

    Raises:
        DestinationError: it is no http or https URL.
    """
    if configured:
        return _checked(configured, "bridge.proxy")
    parts = urlsplit(url)
    if _excluded(parts.netloc, _variable(environ, "no_proxy")):
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        if text := _variable(environ, name):
            return _checked(Secret(text if "://" in text else f"http://{text}"), name.upper())
    return None


def shown(proxy: Secret) -> str:
    """Host and port of a proxy, without user and password."""
    return urlsplit(proxy.reveal()).netloc.rpartition("@")[2]


def _variable(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _excluded(netloc: str, no_proxy: str) -> bool:
    """NO_PROXY: host or domain names, with or without a leading dot or a port; * is everything."""
    host = (urlsplit(f"//{netloc}").hostname or "").lower()
    for entry in no_proxy.lower().replace(",", " ").split():
        name = entry.removeprefix(".")
        if entry == "*" or name in {host, netloc.lower()} or host.endswith(f".{name}"):
            return True
    return False


def _checked(proxy: Secret, origin: str) -> Secret:
    try:
        parts = urlsplit(proxy.reveal())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # Not quoted: it may hold a password.
        raise DestinationError(f"{origin} is not an http or https address", "give http://host:port")
    return proxy
