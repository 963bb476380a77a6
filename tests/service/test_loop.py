"""The loop that reports, in virtual time: a cluster that is a function of the clock, a real state directory."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bridge.app import Installation
from bridge.conditions import Conditions
from bridge.config.load import Loaded
from bridge.config.model import BridgeSection, Services, ServiceSection, Settings
from bridge.mongooseim.errors import NoNodeAnswered
from bridge.mongooseim.facts import ClusterFacts, NodeFacts, Unreachable
from bridge.service.loop import ReportLoop
from bridge.service.schedule import jitter
from bridge.state.state import State
from tests.service.virtual_time import virtual

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bridge.service.reporting import Made
    from bridge.state.status import ServiceStatus

START = 1_000.0
GONE = Unreachable("mongooseim2@localhost", "it is not there")
SERVICE = ServiceSection(initial_report=60_000, periodic_report=600_000)


def facts(
    *unreachable: Unreachable, own_reporter: bool = False, notes: tuple[str, ...] = (), size: int = 1
) -> ClusterFacts:
    nodes = tuple(NodeFacts(f"mongooseim{n}@host", "6.8.0", "27", 60, 0, size, "toml") for n in range(size))
    return ClusterFacts(nodes, unreachable, "id-of-the-cluster", 1, 1, (), 0, (), (), (), (), {}, own_reporter, notes)


@dataclass
class Cluster:
    """What the loop sees of a cluster: `answer` says what becomes of a question asked at a moment."""

    answer: Callable[[float], ClusterFacts | Exception] = lambda _: facts()
    takes: Callable[[float], float] = lambda _: 0.0
    asked: list[float] = field(default_factory=list)
    under_way: int = 0
    access: None = None

    def join(self) -> None:
        pass

    async def leave(self) -> None:
        pass

    async def ask(self, _: Installation) -> ClusterFacts:
        now = asyncio.get_running_loop().time()
        self.asked.append(now - START)
        self.under_way += 1
        assert self.under_way == 1, "reports do not overlap"
        try:
            await asyncio.sleep(self.takes(now - START))
        finally:
            self.under_way -= 1
        answer = self.answer(now - START)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Rig:
    cluster: Cluster
    loop: ReportLoop
    store: State
    made: list[Made]
    installation: Installation
    task: asyncio.Task[None]

    @property
    def state(self) -> ServiceStatus:
        return self.loop.status

    async def until(self, moment: float) -> None:
        await asyncio.sleep(START + moment - asyncio.get_running_loop().time())


async def made(request: asyncio.Future[Made | Exception]) -> Made:
    """The report that a request ends with."""
    end = await request
    assert not isinstance(end, Exception)
    return end


def installed(directory: Path, service: ServiceSection, start_jitter: int = 0) -> Installation:
    """An installation with these settings, whose cluster is never reached."""
    installation = Installation(None, {}, {})
    installation.__dict__["loaded"] = Loaded(
        Settings(Services(service), BridgeSection(log_dir=str(directory / "log"), start_jitter=start_jitter)), {}
    )
    installation.__dict__["access"] = None
    return installation


@asynccontextmanager
async def rig(
    directory: Path, cluster: Cluster | None = None, service: ServiceSection = SERVICE, start_jitter: int = 0
) -> AsyncIterator[Rig]:
    cluster = cluster or Cluster()
    installation = installed(directory, service, start_jitter)
    with State.open(directory / "state") as store:
        made: list[Made] = []

        def ended(end: Made | Exception) -> None:
            if not isinstance(end, Exception):
                made.append(end)

        loop = ReportLoop(
            installation,
            store,
            Conditions(),
            ended=ended,
            enter=lambda _: cluster,  # type: ignore[arg-type, return-value]
        )
        task = asyncio.get_running_loop().create_task(loop.run())
        try:
            yield Rig(cluster, loop, store, made, installation, task)
        finally:
            loop.stop()
            await task


@virtual
async def test_reports_are_made_in_the_rhythm_of_the_configuration(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        await it.until(60 + 3 * 600 + 1)
        assert it.cluster.asked == [60, 660, 1260, 1860]
        assert [made.id for made in it.made] == [1, 2, 3, 4]
        assert (it.state.reports, it.state.failures) == (4, 0)


@virtual
async def test_the_client_id_puts_the_whole_rhythm_off_by_its_own_part_of_the_jitter(tmp_path: Path) -> None:
    for _ in ("once", "after a restart"):
        async with rig(tmp_path, start_jitter=300_000) as it:
            began, late = it.loop.first_report_in - 60, jitter(it.store.client_id(), 300)
            assert began == pytest.approx(late)
            now = asyncio.get_running_loop().time() - START
            await it.until(now + 60 + 300 + 600)
            assert it.cluster.asked == pytest.approx([now + 60 + late, now + 660 + late])


@virtual
async def test_a_long_report_neither_shifts_the_rhythm_nor_overlaps_with_the_next(tmp_path: Path) -> None:
    slow = Cluster(takes=lambda now: 100.0 if now < 1000 else 0.0)
    async with rig(tmp_path, slow) as it:
        await it.until(1861)
        assert it.cluster.asked == [60, 660, 1260, 1860]


@virtual
async def test_reports_that_were_missed_are_skipped_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = Cluster(takes=lambda now: 150.0 if now < 70 else 0.0)
    service = ServiceSection(initial_report=60_000, periodic_report=60_000)
    async with rig(tmp_path, slow, service) as it:
        await it.until(310)
        assert it.cluster.asked == [60, 240, 300]  # 120 and 180 came while the first was under way
    assert [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()] == [
        "what=reports_skipped number=2 took=150.0s"
    ]


@virtual
async def test_a_report_that_never_ends_is_cut_and_made_again(tmp_path: Path) -> None:
    stuck = Cluster(takes=lambda now: 1e9 if now < 70 else 0.0)
    async with rig(tmp_path, stuck) as it:
        await it.until(659)
        # four node deadlines of 10 s and two minutes, then the back-off of 1 s
        assert it.cluster.asked == [60, 60 + 160 + 1]
        assert it.state.reports == 1


@virtual
async def test_without_a_node_it_asks_again_with_back_off_and_reports_as_soon_as_one_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "bridge")

    away = Cluster(answer=lambda now: NoNodeAnswered([GONE]) if now < 100 else facts())
    async with rig(tmp_path, away) as it:
        await it.until(61)
        assert it.state.failures == 1
        assert "it is not there" in str(it.state.error)
        await it.until(1300)
        # 1, 2, 4, 8, 16 and 32 s after each other; then the rhythm is what it was
        assert it.cluster.asked == [60, 61, 63, 67, 75, 91, 123, 660, 1260]
        assert (it.state.failures, it.state.error, it.state.reports) == (0, None, 3)
    told = [record.getMessage().split()[0] for record in caplog.records]
    assert told == [
        "what=no_node_answered",
        "what=report_collected",
        "what=reporting_again",
        "what=report_collected",
        "what=report_collected",
    ]


@virtual
async def test_the_rhythm_goes_on_while_no_node_answers(tmp_path: Path) -> None:
    away = Cluster(answer=lambda _: NoNodeAnswered([GONE]))
    async with rig(tmp_path, away) as it:
        await it.until(2000)
        assert {60, 660, 1260, 1860} <= {round(moment) for moment in it.cluster.asked}
        waits = [later - before for before, later in zip(it.cluster.asked, it.cluster.asked[1:], strict=False)]
        assert max(waits) <= 60
        assert len(it.cluster.asked) < 50


@virtual
async def test_an_unforeseen_error_ends_neither_the_loop_nor_the_rhythm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Cluster(answer=lambda now: ZeroDivisionError("division by zero") if now < 1300 else facts())
    async with rig(tmp_path, broken) as it:
        await it.until(1900)
        assert it.state.reports == 2
        assert not it.task.done()
    (told,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "ZeroDivisionError" in told.getMessage()
    assert told.exc_info


@virtual
async def test_a_full_disk_is_told_once_and_the_report_is_made_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log").write_text("a file where the directory should be")

    async with rig(tmp_path) as it:
        await it.until(100)
        assert it.state.reports == 0
        (tmp_path / "log").unlink()
        await it.until(659)
        assert it.state.reports == 1
    assert len([record for record in caplog.records if "what=report_failed" in record.getMessage()]) == 1


@virtual
async def test_a_request_is_answered_at_once_and_leaves_the_rhythm_alone(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        await it.until(30)
        assert (await made(it.loop.request())).id == 1
        await it.until(670)
        assert it.cluster.asked == [30, 60, 660]


@virtual
async def test_all_who_ask_during_a_report_get_the_next_one(tmp_path: Path) -> None:
    async with rig(tmp_path, Cluster(takes=lambda _: 5.0)) as it:
        await it.until(62)  # the scheduled one is under way
        first, second = it.loop.request(), it.loop.request()
        assert (await made(first)).id == (await made(second)).id == 2
        assert it.cluster.asked == [60, 65]


@virtual
async def test_a_request_that_fails_says_so_to_who_asked_and_is_not_repeated(tmp_path: Path) -> None:
    async with rig(tmp_path, Cluster(answer=lambda _: NoNodeAnswered([GONE]))) as it:
        await it.until(10)
        assert isinstance(await it.loop.request(), NoNodeAnswered)
        await it.until(59)
        assert it.cluster.asked == [10]


@virtual
async def test_who_asks_when_the_loop_stops_is_told(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        asked = it.loop.request()
        it.loop.stop()
        with pytest.raises(asyncio.CancelledError):
            await asked


@pytest.mark.parametrize(
    ("at", "initial", "asked"),
    [(100, 60, [60, 180, 300]), (10, 30, [30, 150, 270]), (50, 30, [50, 150, 270])],
    ids=["from the last report on", "from the start, before the first one", "at once, when it would have been due"],
)
@virtual
async def test_new_intervals_take_effect_without_a_restart(
    tmp_path: Path, at: int, initial: int, asked: list[int]
) -> None:
    async with rig(tmp_path) as it:
        await it.until(at)
        it.loop.reload(installed(tmp_path, ServiceSection(initial_report=initial * 1000, periodic_report=120_000)))
        await it.until(310)
        assert it.cluster.asked == asked


@virtual
async def test_status_shows_when_the_next_report_is_due_and_that_the_service_lives(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        await it.until(100)
        kept = it.store.status().service
        assert kept is not None
        assert kept.next_report_at == it.state.next_report_at
        now = it.store.clock.wall()
        # kept by the round of the loop at 90 s at the latest, and due at 660
        assert 560e6 <= (kept.next_report_at or 0) - now <= 600e6
        assert abs(kept.seen_at - now) < 5e6


@virtual
async def test_each_change_is_told_once_not_with_every_report(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "bridge")

    def answer(now: float) -> ClusterFacts:
        if 600 < now < 2400:
            return facts(GONE, own_reporter=True, notes=("mongooseim1@localhost uptime: error",))
        return facts()

    async with rig(tmp_path, Cluster(answer=answer)) as it:
        await it.until(3100)
        assert it.state.reports == 6
    told = [record.getMessage().split()[0].removeprefix("what=") for record in caplog.records]
    assert [event for event in told if event != "report_collected"] == [
        "node_not_asked",
        "fact_failed",
        "own_reporter_on",
        "node_no_longer_missing",
        "fact_no_longer_failing",
        "own_reporter_off",
    ]


@pytest.mark.parametrize(("nodes", "told"), [(100, 1), (10, 0)])
@virtual
async def test_a_pace_at_which_ga4_drops_events_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, nodes: int, told: int
) -> None:
    every_minute = ServiceSection(initial_report=60_000, periodic_report=60_000)

    async with rig(tmp_path, Cluster(answer=lambda _: facts(size=nodes)), every_minute) as it:
        await it.until(301)
        assert it.state.reports == 5
    assert sum("too_many_events" in record.getMessage() for record in caplog.records) == told


@virtual
async def test_a_day_of_ten_nodes_is_one_line_per_report(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "bridge")

    async with rig(tmp_path, Cluster(answer=lambda _: facts(size=10)), ServiceSection()) as it:
        await it.until(86_400)
        assert it.state.reports == 8
    assert len(caplog.records) == 8


@virtual
async def test_the_loop_says_until_when_it_is_alive_and_keeps_its_word(tmp_path: Path) -> None:
    async with rig(tmp_path, Cluster(takes=lambda _: 30.0)) as it:
        for moment in range(0, 1500, 7):
            await it.until(moment)
            assert it.loop.alive_until > START + moment
