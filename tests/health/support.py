"""A service's status and history for the tests of its listener: real reports of stub nodes, kept and delivered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec import structs

from bridge.app import Installation
from bridge.health import metrics
from bridge.health.server import HealthListener
from bridge.mongooseim.facts import Unreachable
from bridge.report.model import Note
from bridge.service.reporting import Made, build_report, make_report
from bridge.state.queue import Outcome, Settled
from bridge.state.receipts import Processed
from bridge.state.state import State
from bridge.state.status import DestinationStatus, NodeStatus, Processing, ReportStatus, ServiceStatus, Status
from bridge.times import MICROSECONDS
from tests.delivery.support import HOUR, NOW, SECRET, Hands, send_all

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from bridge.mongooseim.facts import ClusterFacts
    from bridge.report.model import Report
    from erlang_stubs.cluster import StubCluster

PERIOD = 10_800.0
STANDARD = "http://127.0.0.1:9/mp/collect"
"""Nobody listens there."""


async def facts_of(cluster: StubCluster) -> ClusterFacts:
    """What the bridge learns of a cluster."""
    environ = {**cluster.environ, "MONGOOSEIM_BRIDGE_EPMD_PORT": str(cluster.epmd_port)}
    return await Installation(None, {}, environ).ask_cluster()


def grown(facts: ClusterFacts, step: int) -> ClusterFacts:
    """The same cluster some reports later: more stanzas, now and then a module more and a node less."""
    counted = {
        incarnation: {
            kind: total + sum(900 + (each * 7 + number) % 8 * 260 * (number % 2 + 1) for each in range(step))
            for number, (kind, total) in enumerate(totals.items())
        }
        for incarnation, totals in facts.stanzas.items()
    }
    modules = facts.modules[: 1 + step // 6]
    if step % 9 == 8:
        lost = facts.nodes[-1].name
        reason = f"node {lost} did not answer in time"
        return structs.replace(
            facts,
            nodes=facts.nodes[:-1],
            unreachable=(Unreachable(lost, reason, "is it overloaded?"),),
            stanzas={incarnation: totals for incarnation, totals in counted.items() if incarnation.node != lost},
            modules=modules,
        )
    return structs.replace(facts, stanzas=counted, modules=modules)


@dataclass
class Place:
    """A state directory, a clock moved by hand, and what a service that runs there says of itself."""

    directory: Path
    endpoints: Sequence[str] = ()
    hands: Hands = field(default_factory=Hands)
    stuck: str | None = None
    preview: Callable[[], Awaitable[Report]] | None = None
    settings: str = ""

    def __post_init__(self) -> None:
        self.state = State.open(self.directory / "state", clock=self.hands.clock)
        self.service = ServiceStatus(
            "0.1.0", NOW, NOW, PERIOD, "report = true", next_report_at=NOW + 300 * MICROSECONDS
        )
        self.say()

    @property
    def installation(self) -> Installation:
        """With a destination G-TEST1, G-TEST2, … for each endpoint."""
        config = self.directory / "config.toml"
        destinations = "".join(
            f'[[bridge.destinations]]\nmeasurement_id = "G-TEST{number}"\napi_secret = "{SECRET}"\nendpoint = "{url}"\n'
            for number, url in enumerate(self.endpoints, 1)
        )
        config.write_text(f'[bridge]\nlog_dir = "{self.directory}/log"\n{self.settings}\n{destinations}')
        config.chmod(0o600)
        return Installation(config, {}, {"MONGOOSEIM_BRIDGE_COOKIE": "x"})

    def listener(self, **health: Any) -> HealthListener:
        """A listener on any free port, or as it is told."""
        listener = HealthListener(lambda: self.installation, self.state, lambda: self.stuck, self.preview)
        listener.port, listener.host = health.get("port", 0), health.get("host", "127.0.0.1")
        return listener

    def say(self, **changes: Any) -> None:
        """Have the service say something else of itself."""
        self.service = structs.replace(self.service, **changes)
        self.state.keep_service(self.service)

    async def report(self, facts: ClusterFacts) -> Made:
        """Make a report as the service does, and say so."""

        async def collect() -> ClusterFacts:
            return facts

        made = await make_report(collect, self.state, self.installation)
        self.say(
            reports=self.service.reports + 1,
            failures=0,
            error=None,
            last_duration=0.123,
            next_report_at=made.report.collected_at + int(PERIOD) * MICROSECONDS,
        )
        return made

    def would_report(self, facts: ClusterFacts) -> Report:
        """The report that would be made of these facts now."""
        return build_report(facts, self.state.stanza_totals(), "1.2", self.hands.wall, self.installation.settings)

    def take(self, answer: Processed | None) -> None:
        """What waits for the first destination is taken, and an hour later it says, or not, what it processed."""
        key, *_ = self.installation.configured
        queue, receipts = self.state.queue, self.state.receipts
        queue.settle(key, [Settled(batch, Outcome.DELIVERED, receipt=str(batch.id)) for batch in queue.take(key, 99)])
        self.hands.pass_time(HOUR)
        due = receipts.due(key) if answer else ()
        for receipt in due:
            receipts.answered(receipt, answer if answer and receipt == due[-1] else Processed())

    def previews(self, facts: ClusterFacts) -> None:
        """Have the listener's button, and what it would find."""

        async def preview() -> Report:
            return self.would_report(facts)

        self.preview = preview

    async def deliver(self) -> None:
        await send_all(self.state, self.installation.destinations, seconds=2.0)


def everything() -> Status:
    """A status in which every metric has a value."""
    service = ServiceStatus("0.1.0", 1, 2, 60.0, "", next_report_at=3, last_duration=0.1)
    report = ReportStatus(1, 1, 1, "1.2", 57, ("a@h",), (Note("own_reporter_on", "", "twice"),), ())
    to = DestinationStatus("G-1", "G-1", oldest=1, last_at={Outcome.DELIVERED: 2}, processing=Processing(1, 0, 0, None))
    return Status(4, service, (report,), (NodeStatus("a@h", "6.8.0", 1, None, None),), (to,))


def metric_names() -> set[str]:
    """Every metric of ours, without its prefix."""
    suffixes = {"counter": "_total", "info": "_info"}
    named = (family.name + suffixes.get(family.type, "") for family in metrics.families(everything()))
    return {name.removeprefix(metrics.PREFIX) for name in named}
