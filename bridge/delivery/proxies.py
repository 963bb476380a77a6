"""Which proxy leads to a host: the configured one, else what the environment says, as curl and Python read it."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bridge.delivery.errors import DestinationError
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS: Final = {"http": 80, "https": 443}


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
    host, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
    if any(_covers(entry, host, port) for entry in re.split(r"[,\s]+", _variable(environ, "no_proxy").lower())):
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


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY means a host: *, an address or network (CIDR), or a domain with all in it.

    A domain may be written `example.com`, `.example.com` or `*.example.com`; each may end with a port.
    """
    name, colon, at = entry.rpartition(":")
    if not (colon and at.isdecimal() and (":" not in name or name.endswith("]"))):
        name, at = entry, str(port)
    name = name.replace("[", "").replace("]", "")
    if not name or int(at) != port:
        return False
    try:
        return name == "*" or ip_address(host) in ip_network(name, strict=False)
    except ValueError:  # one of them is a name
        name = name.removeprefix("*").removeprefix(".").rstrip(".")
        return f".{host}".endswith(f".{name}")


def _checked(proxy: Secret, origin: str) -> Secret:
    try:
        parts = urlsplit(proxy.reveal())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        # A password with one of / ? # ends the host where nobody meant it to, and part of it would be taken for a port.
        usable = usable and parts.path in {"", "/"} and not (parts.query or parts.fragment)
    except ValueError:
        usable = False
    if not usable or not proxy.reveal().isprintable():
        # Neither quoted nor chained: it may hold a password.
        remedy = "give http://host:port; in a user or a password write %23 for #, %2F for /, %3F for ?, %40 for @"
        raise DestinationError(f"{origin} is not an http or https address", remedy) from None
    return proxy
