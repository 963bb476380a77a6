"""The way to a destination: one real exchange, what was seen of each of its phases, the clock, and the validator.

The endpoint's host is asked for HEAD /, with no secret and nothing of a report in it. Only the validator, which keeps
nothing, gets to see a report.
"""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bridge.config.destinations import loopback
from bridge.delivery.destination import Request
from bridge.delivery.errors import (
    ANSWER,
    CONNECTION,
    HOST,
    PROXY,
    PROXY_REFUSES,
    TLS,
    DeliveryError,
    DestinationError,
    SendError,
)
from bridge.delivery.ga4 import HEADERS
from bridge.delivery.proxies import proxy_for, shown
from bridge.delivery.retry import PROXY_LOGIN
from bridge.secret import Secret
from bridge.service.reporting import build_report
from bridge.times import MICROSECONDS, system_clock

if TYPE_CHECKING:
    from bridge.app import Installation
    from bridge.delivery.destination import Answer, Destination
    from bridge.delivery.sender import Sender
    from bridge.doctor.steps import Sheet
    from bridge.mongooseim.facts import ClusterFacts

SEND_SECONDS: Final = 6.0
LARGEST_SKEW: Final = 300.0
"""Seconds between our clock and the endpoint's that matter to nobody."""
BATCHES: Final = 4
"""Requests that the validator is asked about: a report of thousands of events has many of the same kind."""
STAND_IN_ID: Final = "1000000000.1000000000"
"""A Client ID of the right form, where the cluster has none of its own."""


async def examine_route(
    installation: Installation,
    destination: Destination,
    sender: Sender,
    facts: asyncio.Future[ClusterFacts | None],
    sheet: Sheet,
) -> None:
    """Try the way to one destination."""
    proxy = proxy_for(destination.peer, installation.settings.bridge.proxy, installation.environ)
    answer: Answer | None = None
    failed: DeliveryError | None = None
    try:
        request = Request(Secret(f"{destination.peer}/"), destination.peer, HEADERS, b"", "HEAD")
        answer = await sender.send(request, SEND_SECONDS)
        if proxy and answer.status == PROXY_LOGIN:
            failed = SendError(destination.peer, PROXY_REFUSES, "407 Proxy Authentication Required")
    except DeliveryError as error:
        failed = error
    _phases(sheet, destination.peer, proxy, answer, failed)
    if answer and not failed:
        _clock(sheet, answer)
        await _validator(installation, destination, sender, facts, sheet)


def _phases(sheet: Sheet, peer: str, proxy: Secret | None, answer: Answer | None, failed: DeliveryError | None) -> None:
    """What the exchange has shown of each phase, up to the one that failed."""
    plain = urlsplit(peer).scheme == "http"
    if plain and not loopback(peer) and (not failed or failed.phase == ANSWER):
        advice = "give an https endpoint, unless the network is yours"
        sheet.warning(TLS, "http: the API secret and the reports travel unencrypted", advice)
    if answer and answer.status >= 500:
        advice = "the endpoint, or a proxy before it, has a fault: reports wait"
        sheet.warning(ANSWER, f"it answers with status {answer.status}", advice)
    whom = "the proxy" if proxy else peer
    seen = {
        HOST: f"{whom} has an address",
        CONNECTION: f"{whom} takes connections",
        PROXY: f"{shown(proxy)} lets us through" if proxy else "",
        TLS: "" if plain else "the certificate is trusted",
        ANSWER: f"it answers (status {answer.status} to HEAD /)" if answer else "",
    }
    left_out = {PROXY: "none is configured for this destination", TLS: "http, on this machine"}
    for phase, found in seen.items():
        if failed and phase == failed.phase:
            sheet.stopped(phase, failed)
            return
        if found:
            sheet.ok(phase, found)
        else:
            sheet.skipped(phase, left_out[phase])


def _clock(sheet: Sheet, answer: Answer) -> None:
    try:
        theirs = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        sheet.skipped("clock", "the answer has no date")
        return
    skew = system_clock().wall() / MICROSECONDS - theirs
    if abs(skew) <= LARGEST_SKEW:
        sheet.ok("clock", "the same time here and there")
    else:
        sheet.warning(
            "clock",
            f"the clock here is {abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} the endpoint's",
            "set the clock (NTP): GA4 puts events at the wrong time, and takes none that is older than 3 days",
        )


async def _validator(
    installation: Installation,
    destination: Destination,
    sender: Sender,
    facts: asyncio.Future[ClusterFacts | None],
    sheet: Sheet,
) -> None:
    """The start of the current report; a Client ID of another form than is recommended is taken all the same."""
    known = await asyncio.shield(facts)  # others wait for it too
    if known is None:
        sheet.skipped("validator", "no report can be made, see the cluster's steps")
        return
    now = system_clock().wall()
    report = build_report(known, {}, known.cluster_id or STAND_IN_ID, now, installation.settings)
    batches = destination.batches(report)[:BATCHES]
    try:
        asked = (destination.validate(batch, sender, collected_at=now, seconds=SEND_SECONDS) for batch in batches)
        judged = await asyncio.gather(*asked)
    except DestinationError as error:
        sheet.skipped("validator", str(error))
        return
    except DeliveryError as error:
        sheet.failed("validator", error)
        return
    objections = [each for objections in judged for each in objections if each.drops]
    if objections:
        more = f", and {len(objections) - 1} more" if len(objections) > 1 else ""
        sheet.failure(
            "validator",
            f"GA4 would drop events: {objections[0].code} {objections[0].description}{more}",
            "see all of it by `mongooseim-bridge validate`; unless a clock is wrong this is a fault of the bridge, "
            "please report it",
        )
        return
    events = sum(batch.events for batch in batches)
    sheet.ok("validator", f"takes the {'first ' if events < len(report.events) else ''}{events} events of a report")
