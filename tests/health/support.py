"""A service's account and history for the tests of its listener: real reports of stub nodes, kept and delivered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.config.access import access
from bridge.config.load import load
from bridge.config.model import BridgeSection, Settings
from bridge.config.model import Health as HealthSection
from bridge.delivery.store import Store
from bridge.service.consent import Consent
from bridge.service.health import Health
from bridge.service.reporting import Made, ask_cluster, make_report
from bridge.service.state import DestinationState, ServiceState
from bridge.times import MICROSECONDS
from tests.delivery.support import NOW, Hands, send_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bridge.delivery.destination import Destination
    from bridge.mongooseim.facts import ClusterFacts
    from erlang_stubs.cluster import StubCluster

PERIOD = 10_800.0
ANY_PORT = HealthSection(port=0)


STANDARD = "http://127.0.0.1:9/mp/collect"
"""Nobody listens there."""


async def facts_of(cluster: StubCluster) -> ClusterFacts:
    """What the bridge learns of a cluster."""
    environ = {**cluster.environ, "MONGOOSEIM_BRIDGE_EPMD_PORT": str(cluster.epmd_port)}
    return await ask_cluster(access(load(None, environ, {}), environ), 10.0)


@dataclass
class Installation:
    """A state directory, a clock moved by hand, and the account that a service keeps of itself."""

    directory: Path
    destinations: Sequence[Destination] = ()
    hands: Hands = field(default_factory=Hands)

    def __post_init__(self) -> None:
        self.store = Store.open(self.directory / "state", clock=self.hands.clock)
        self.state = ServiceState(
            Consent(given=True, reason="report = true"),
            started_at=NOW,
            period=PERIOD,
            destinations={one.id: DestinationState(one.name) for one in self.destinations},
            next_report_at=NOW + 300 * MICROSECONDS,
        )

    @property
    def health(self) -> Health:
        """A listener on any free port."""
        return Health(ANY_PORT, self.state, self.store)

    async def report(self, facts: ClusterFacts, *, aggregate_modules: bool = False) -> Made:
        """Make a report as the service does, and say so in the state."""

        async def collect() -> ClusterFacts:
            return facts

        bridge = BridgeSection(log_dir=str(self.directory / "log"), aggregate_modules=aggregate_modules)
        made = await make_report(collect, self.store, self.destinations, Settings(bridge=bridge))
        self.reported(made)
        return made

    def reported(self, made: Made) -> None:
        state = self.state
        state.reports += 1
        state.failures, state.error = 0, None
        state.last_report, state.last_report_at = made.id, made.report.collected_at
        state.last_duration, state.last_events, state.facts = 0.123, len(made.report.events), made.facts
        state.next_report_at = made.report.collected_at + int(PERIOD) * MICROSECONDS

    async def deliver(self) -> None:
        for outcome in await send_all(self.store, self.destinations, seconds=2.0):
            self.state.destinations[outcome.id].add(outcome)
