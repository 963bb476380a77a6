"""The way to a destination: its host, the proxy, TLS, an answer, the clock, and the validator's verdict.

The endpoint's host is asked for HEAD /, with no secret and nothing of a report in it. Only the validator, which keeps
nothing, gets to see a report.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bridge.delivery.destination import Request
from bridge.delivery.errors import (
    CertificateRefused,
    ConnectTimeout,
    DestinationError,
    ProxyFailed,
    Refused,
    SendError,
    TlsFailed,
    Unresolvable,
)
from bridge.delivery.ga4 import HEADERS
from bridge.delivery.proxies import proxy_for, shown
from bridge.delivery.validation import ask
from bridge.secret import Secret
from bridge.service.doctor.steps import (
    Attempt,
    Chain,
    Findings,
    Section,
    Step,
    addresses_of,
    failed,
    failure,
    ok,
    resolve,
    skipped,
    warning,
)
from bridge.service.reporting import build_report
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.config.model import Settings
    from bridge.delivery.destination import Answer
    from bridge.delivery.ga4 import Ga4Destination
    from bridge.delivery.sender import Sender
    from bridge.errors import BridgeError
    from bridge.mongooseim.facts import ClusterFacts

SEND_SECONDS: Final = 6.0
LARGEST_SKEW: Final = 300.0
"""Seconds between our clock and the endpoint's that matter to nobody."""
BATCHES: Final = 4
"""Requests that the validator is asked about: a report of thousands of events has many of the same kind."""
STAND_IN_ID: Final = "1000000000.1000000000"
"""A Client ID of the right form, where the cluster has none of its own."""

CONNECTION, PROXY, TLS, ANSWER = "connection", "proxy", "endpoint TLS", "answer"


@dataclass
class Route:
    """One destination, and the way there."""

    destination: Ga4Destination
    sender: Sender
    settings: Settings
    environ: Mapping[str, str] = field(repr=False)
    now: Callable[[], int]
    """µs since 1970."""
    facts: asyncio.Future[ClusterFacts | None]
    """What the cluster answers in the end, for a report to be judged."""

    def __post_init__(self) -> None:
        self.proxy = proxy_for(self.destination.endpoint, self.settings.bridge.proxy, self.environ)
        self.exchange = Attempt(self._exchange, (CONNECTION, PROXY, TLS, ANSWER), _place)

    async def _exchange(self) -> Answer:
        request = Request(Secret(f"{self.destination.peer}/"), self.destination.peer, HEADERS, b"", "HEAD")
        return await self.sender.send(request, SEND_SECONDS)


def _place(error: BridgeError) -> str:
    if isinstance(error, ProxyFailed):
        return PROXY
    if isinstance(error, CertificateRefused | TlsFailed):
        return TLS
    return CONNECTION if isinstance(error, Unresolvable | Refused | ConnectTimeout) else ANSWER


async def host(route: Route) -> Findings:
    """Of the proxy where there is one: the endpoint's is then looked up by the proxy."""
    name = urlsplit(route.proxy.reveal() if route.proxy else route.destination.endpoint).hostname or ""
    try:
        return ok(addresses_of(name, await resolve(name)) + (" (the proxy)" if route.proxy else ""))
    except (OSError, UnicodeError) as error:
        raise Unresolvable(f"the proxy {name}" if route.proxy else route.destination.peer) from error


async def connection(route: Route) -> Findings:
    """To the endpoint, or to the proxy."""
    await route.exchange.passed(CONNECTION)
    return ok(f"{'the proxy' if route.proxy else route.destination.peer} takes connections")


async def proxy(route: Route) -> Findings:
    """It lets us through."""
    answer = await route.exchange.passed(PROXY)
    if route.proxy is None:
        return skipped("none is configured for this destination")
    if answer and answer.status == 407:
        raise ProxyFailed(route.destination.peer, "407 Proxy Authentication Required")
    return ok(f"{shown(route.proxy)} lets us through")


async def tls(route: Route) -> Findings:
    """The certificate is trusted; without TLS the secret is for everybody on the way."""
    await route.exchange.passed(TLS)
    parts = urlsplit(route.destination.endpoint)
    if parts.scheme == "https":
        return ok("the certificate is trusted")
    if _loopback(parts.hostname or ""):
        return skipped("http, on this machine")
    return warning(
        "http: the API secret and the reports travel unencrypted", "give an https endpoint, unless the network is yours"
    )


def _loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


async def answer(route: Route) -> Findings:
    """Any status is good: it was reached, and what it says of HEAD / is its own business."""
    try:
        found = await route.exchange.passed(ANSWER)
    except SendError as error:
        return failed(error, "is the endpoint right, and is a firewall or proxy in between?")
    assert found
    if found.status >= 500:
        return warning(
            f"it answers with status {found.status}", "the endpoint, or a proxy before it, has a fault: reports wait"
        )
    return ok(f"it answers (status {found.status} to HEAD /)")


async def clock(route: Route) -> Findings:
    """By the Date of its answer."""
    found = await route.exchange.passed(ANSWER)
    try:
        theirs = parsedate_to_datetime(found.headers["date"] if found else "").timestamp()
    except (KeyError, ValueError):
        return skipped("the answer has no date")
    skew = route.now() / MICROSECONDS - theirs
    if abs(skew) <= LARGEST_SKEW:
        return ok("the same time here and there")
    return warning(
        f"the clock here is {abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} the endpoint's",
        "set the clock (NTP): GA4 puts events at the wrong time, and takes none that is older than 3 days",
    )


async def validator(route: Route) -> Findings:
    """The start of the current report; a Client ID of another form than is recommended is taken all the same."""
    facts = await asyncio.shield(route.facts)  # others wait for it too
    if facts is None:
        return skipped("no report can be made, see the cluster's steps")
    report = build_report(facts, {}, facts.cluster_id or STAND_IN_ID, route.now(), route.settings)
    batches = route.destination.batches(report)[:BATCHES]
    try:
        asked = (
            ask(route.sender, route.destination, batch, now=route.now(), seconds=SEND_SECONDS) for batch in batches
        )
        judged = await asyncio.gather(*asked)
    except DestinationError as error:
        return skipped(str(error))
    objections = [each for found in judged for each in found if each.drops]
    if objections:
        more = f", and {len(objections) - 1} more" if len(objections) > 1 else ""
        return failure(
            f"GA4 would drop events: {objections[0].code} {objections[0].description}{more}",
            "see all of it by `mongooseim-bridge validate`; unless a clock is wrong this is a fault of the bridge, "
            "please report it",
        )
    judged_events = sum(batch.events for batch in batches)
    return ok(f"takes the {'first ' if judged_events < len(report.events) else ''}{judged_events} events of a report")


ROUTE: Final = Chain(
    Section.DELIVERY,
    (
        Step("endpoint host", "the endpoint's host has an address; the proxy's, where one is configured", host),
        Step(CONNECTION, "endpoint or proxy take a connection", connection, SEND_SECONDS + 1),
        Step(PROXY, "the configured proxy lets us through; skipped without one", proxy),
        Step(TLS, "the endpoint's certificate is trusted", tls),
        Step(ANSWER, "the endpoint speaks HTTP", answer),
        Step("clock", "this machine's clock and the endpoint's agree", clock, vital=False),
        Step("validator", "GA4's validator takes the current report; skipped where there is none", validator, 25.0),
    ),
)
