"""Proof of arrival while the service runs: each report is looked for once at each property, while Google shows it live.

What the property says is kept with the report, where everybody who shows its outcome finds it.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bridge.errors import BridgeError
from bridge.google.credentials import READ_SCOPE
from bridge.google.find import find, not_found
from bridge.google.verify import LIVE_AGE, LIVE_WAIT, Word, prove, sent
from bridge.log import Line
from bridge.state.receipts import Processed
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from bridge.app import Installation
    from bridge.conditions import Conditions
    from bridge.delivery.destination import Destination
    from bridge.delivery.sender import Sender
    from bridge.google.admin import Stream
    from bridge.google.verify import Sent
    from bridge.state.state import State

log = logging.getLogger(__name__)

_REPORTS: Final = 100
"""More than are made in the half hour that Google shows live."""


class Verification:
    """Asks the properties of all destinations; one for each installation that `bridge.google.verify` is set in.

    Args:
        installation: whose destinations and credentials.
        sender: open.
        state: where reports are, and what became of them.
        conditions: where failures are logged.
    """

    def __init__(self, installation: Installation, sender: Sender, state: State, conditions: Conditions) -> None:
        self.installation = installation
        self._state = state
        self._conditions = conditions
        self._api = installation.google_api(sender, READ_SCOPE)
        self._streams: dict[str, Stream] = {}

    async def look(self) -> None:
        """Look once, whatever happens."""
        try:
            await self._look()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may succeed
            self._conditions.failed("verification_failing", error)
        else:
            self._conditions.end("verification_failing")

    async def _look(self) -> None:
        """Ask about every report that can be proved now and was not asked about yet."""
        now = datetime.fromtimestamp(self._state.clock.wall() / MICROSECONDS, UTC)
        for destination in self.installation.targets:
            reports = sent(self._state, destination.id, now - LIVE_AGE, _REPORTS)
            for one in reports:
                if not one.known and now - one.collected_at >= LIVE_WAIT:
                    await self._prove(destination, one, reports, now)

    async def _prove(self, destination: Destination, one: Sent, reports: tuple[Sent, ...], now: datetime) -> None:
        about, name, delivered = destination.id, destination.name, one.events.total()
        try:
            missing = await prove(self._api, await self._stream(destination), one, reports, now)
        except BridgeError as error:
            self._conditions.failed("verification_failing", error, about, destination=name)
            self._state.receipts.keep(one.report, about, delivered, str(error))
            return
        self._conditions.end("verification_failing", about, destination=name)
        failed = missing.total()
        why = (Word.NOTHING if failed == delivered else Word.PARTLY).why if failed else None
        self._state.receipts.keep(one.report, about, delivered, Processed(failed, why))
        if failed:
            log.warning(Line("events_not_processed", destination=name, events=failed, reason=why))

    async def _stream(self, destination: Destination) -> Stream:
        wanted = destination.measurement_id
        if wanted not in self._streams:
            named = self.installation.settings.bridge.google.property_id
            (place,) = await find(self._api, [wanted], named)
            if place.stream is None:
                raise not_found(self._api, [wanted])
            self._streams[wanted] = place.stream
        return self._streams[wanted]
