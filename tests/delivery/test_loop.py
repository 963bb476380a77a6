"""Through every fault and after it: each event arrives at each destination, once where nothing was ambiguous."""

import asyncio
import io
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.conditions import Conditions
from bridge.delivery.destination import Answer, Request
from bridge.delivery.loop import DeliveryLoop, deliver_within
from bridge.delivery.sender import Sender
from bridge.emulator.server import Emulator
from bridge.state.errors import StateError
from bridge.state.state import State
from tests.delivery.support import (
    DAY,
    HOUR,
    SECRET,
    Hands,
    TcpServer,
    destination,
    hanging,
    keep,
    report,
    send_all,
    tcp_server,
    unused_port,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[State]:
    with State.open(tmp_path / "state") as opened:
        yield opened


def arrived(emulator: Emulator) -> Counter[object]:
    """How often each event was counted."""
    assert all(event.accepted for event in emulator.events), "GA4 would have dropped some"
    return Counter(event.params["module"] for event in emulator.events)


def once(events: int, *tags: str) -> Counter[object]:
    return Counter({f"{tag}.{number}": 1 for tag in tags for number in range(events)})


async def until(holds: Callable[[], bool], seconds: float = 2.0) -> None:
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)


async def test_every_event_arrives_once_at_every_destination(store: State) -> None:
    async with Emulator() as one, Emulator() as two:
        to = [destination(one.url, "G-AAAA"), destination(two.url, "G-BBBB")]
        for tag in "xy":
            keep(store, report(130, tag=tag), to)
        outcomes = await send_all(store, to)
        assert [(done.name, done.delivered, done.queued, done.error) for done in outcomes] == [
            (to[0].name, 260, 0, None),
            (to[1].name, 260, 0, None),
        ]
        assert arrived(one) == arrived(two) == once(130, "x", "y")
        assert {request.measurement_id for request in one.requests} == {"G-AAAA"}


@pytest.mark.parametrize(
    "fault",
    ["503*1; 500*1; 502*1", "429:retry-after=1*1", "302*2", "drop*3", "hang*2", "slow=0.2*3"],
)
async def test_after_a_passing_fault_everything_has_arrived_once(store: State, fault: str) -> None:
    async with Emulator(fail=fault) as emulator:
        to = destination(emulator.url)
        number = keep(store, report(60), [to])
        (outcome,) = await send_all(store, [to], total_seconds=0.5)
        assert (outcome.delivered, outcome.queued, outcome.rejected, outcome.dropped) == (60, 0, 0, 0)
        assert arrived(emulator) == once(60, "x")
    found = store.report(number)
    assert found is not None
    assert [(one.delivered, one.queued, one.error) for one in found[0].deliveries] == [(60, 0, None)]


@pytest.mark.parametrize(("ambiguity", "delivered", "twice"), [("retry", 100, 25), ("drop", 75, 0)])
async def test_an_answer_that_is_cut_counts_twice_or_is_given_up_as_the_operator_would_rather_have_it(
    store: State, ambiguity: str, delivered: int, twice: int
) -> None:
    async with Emulator(fail="ok*1; cut*1") as emulator:
        to = destination(emulator.url)
        keep(store, report(100), [to])
        (outcome,) = await send_all(store, [to], ambiguity=ambiguity)
        assert (outcome.delivered, outcome.dropped, outcome.queued) == (delivered, 100 - delivered, 0)
        counted = arrived(emulator)
    assert counted.keys() == once(100, "x").keys()
    assert counted.total() == 100 + twice
    (after,) = store.status().destinations
    assert after.dropped == ({"ambiguous time-out": 25} if ambiguity == "drop" else {})


async def test_a_refused_connection_is_certain_and_never_dropped(store: State) -> None:
    port = unused_port()
    to = destination(f"http://127.0.0.1:{port}/mp/collect")
    keep(store, report(30), [to])
    (outcome,) = await send_all(store, [to], seconds=1.2, ambiguity="drop", uniform=lambda least, most: 60.0)
    assert (outcome.queued, outcome.dropped, round(outcome.retry_in or 0)) == (30, 0, 60)
    assert "connection refused" in (outcome.error or "")
    async with Emulator(port=port) as emulator:
        (outcome,) = await send_all(store, [to])
        assert arrived(emulator) == once(30, "x")
    assert (outcome.queued, outcome.error) == (0, None)


async def test_a_400_for_good_is_a_dead_letter_at_one_destination_and_nothing_to_the_other(store: State) -> None:
    async with Emulator(fail="400") as bad, Emulator() as good:
        to = [destination(bad.url, "G-AAAA"), destination(good.url, "G-BBBB")]
        number = keep(store, report(60), to)
        refused, fine = await send_all(store, to)
        assert (refused.rejected, refused.queued, refused.retry_in) == (60, 0, None)
        assert (fine.delivered, fine.error) == (60, None)
        assert arrived(good) == once(60, "x")
        assert len(bad.requests) == 3, "a final answer is not asked for again"
    found = store.report(number)
    assert found is not None
    _, _, dead = found
    assert [(letter.first, letter.events) for letter in dead] == [(0, 25), (25, 25), (50, 10)]
    assert dead[0].reason == f"{to[0].peer} answered 400 Bad Request"


async def test_a_destination_that_hangs_does_not_delay_another(store: State) -> None:
    async with tcp_server(hanging) as stuck, Emulator() as good:
        slow, quick = destination(stuck.url, "G-AAAA"), destination(good.url, "G-BBBB")
        keep(store, report(100), [slow, quick])
        delivering = asyncio.create_task(send_all(store, [slow, quick], seconds=4))
        started = time.monotonic()
        await until(lambda: len(good.events) == 100)
        assert not delivering.done()
        stopped, done = await delivering
        assert (stopped.queued, done.queued) == (100, 0)
        assert time.monotonic() - started < 6, "the deadline holds although the server hangs"


async def test_what_is_not_sent_in_time_stays_queued(store: State) -> None:
    async with Emulator(fail="slow=0.3") as emulator:
        to = destination(emulator.url)
        keep(store, report(1000), [to])
        (outcome,) = await send_all(store, [to], seconds=2)
        assert outcome.queued > 0
        assert outcome.delivered + outcome.queued == 1000
        emulator.fail = ""
        (outcome,) = await send_all(store, [to])
        assert outcome.queued == 0
        counted = arrived(emulator)
    assert counted.keys() == once(1000, "x").keys()


async def test_the_log_tells_the_beginning_and_the_end_of_trouble_and_no_more(
    store: State, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bridge")
    conditions = Conditions()
    async with Emulator(fail="500*4") as emulator:
        to = destination(emulator.url)
        keep(store, report(60), [to])
        await send_all(store, [to], seconds=1.5, conditions=conditions, uniform=lambda least, most: 3.0)
        await send_all(store, [to], conditions=conditions)
    told = [(record.levelname, record.msg.what) for record in caplog.records if record.name == "bridge.conditions"]
    assert told == [
        ("WARNING", "delivery_failing"),
        ("DEBUG", "delivery_failing"),
        ("INFO", "delivery_recovered"),
    ]
    assert "answered 500 Internal Server Error" in caplog.text


async def test_a_retry_after_is_respected_by_the_next_process_too(store: State, tmp_path: Path) -> None:
    async with Emulator(fail="429:retry-after=30*4") as emulator:
        to = destination(emulator.url)
        keep(store, report(10), [to])
        (outcome,) = await send_all(store, [to])
        assert round(outcome.retry_in or 0) == 30
        asked = len(emulator.requests)
        with State.open(tmp_path / "state") as other:
            (outcome,) = await send_all(other, [to])
        assert outcome.retry_in is not None
        assert 25 < outcome.retry_in <= 30
        assert "429 Too Many Requests" in (outcome.error or "")
        assert len(emulator.requests) == asked


async def test_what_one_request_is_told_holds_although_its_neighbours_hang_until_the_end(store: State) -> None:
    async with Emulator(fail="429:retry-after=30*1; hang*3") as emulator:
        to = destination(emulator.url)
        keep(store, report(100), [to])
        (outcome,) = await send_all(store, [to], seconds=1)
    assert outcome.queued == 100
    assert outcome.retry_in is not None
    assert 25 < outcome.retry_in <= 30


async def test_the_own_back_off_ends_with_the_process(store: State, tmp_path: Path) -> None:
    async with Emulator(fail="500*1") as emulator:
        to = destination(emulator.url)
        keep(store, report(10), [to])
        (outcome,) = await send_all(store, [to], uniform=lambda least, most: 300.0)
        assert (outcome.queued, round(outcome.retry_in or 0)) == (10, 300)
        with State.open(tmp_path / "state") as other:
            (outcome,) = await send_all(other, [to])
        assert outcome.queued == 0


async def test_cancelled_it_lets_go_of_the_destination_and_what_was_not_answered_waits(store: State) -> None:
    async with tcp_server(hanging) as stuck:
        to = destination(stuck.url)
        keep(store, report(100), [to])
        delivering = asyncio.create_task(send_all(store, [to]))
        await until(lambda: bool(stuck.requests))
        delivering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivering
    assert len(store.queue.take(to.id, 10)) == 4
    async with asyncio.timeout(1), store.delivering(to.id):
        pass


class Counting(Sender):
    """Counts the answers that have come."""

    answers = 0

    async def send(self, request: Request, seconds: float) -> Answer:
        answer = await super().send(request, seconds)
        self.answers += 1
        return answer


async def test_cancelled_it_keeps_what_was_answered(store: State) -> None:
    async with Emulator(fail="ok*3; hang*1") as emulator, Counting() as sender:
        to = destination(emulator.url)
        keep(store, report(100), [to])
        delivering = asyncio.create_task(deliver_within([DeliveryLoop(to, store, sender, Conditions())], 20))
        await until(lambda: sender.answers == 3)
        delivering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivering
        emulator.fail = ""
        (outcome,) = await send_all(store, [to])
        assert outcome.delivered == 25
        assert arrived(emulator) == once(100, "x")


class Mistaken(Sender):
    """Has a mistake that one request meets."""

    async def send(self, request: Request, seconds: float) -> Answer:
        if b'"x.25"' in request.body:
            raise RuntimeError("a mistake")
        return await super().send(request, seconds)


async def test_whatever_one_request_meets_what_the_others_were_answered_is_kept(store: State) -> None:
    async with Emulator() as emulator, Mistaken() as sender:
        to = destination(emulator.url)
        keep(store, report(100), [to])
        with pytest.raises(RuntimeError):
            await deliver_within([DeliveryLoop(to, store, sender, Conditions())], 5)
        (after,) = store.status().destinations
        assert (after.delivered, after.queued_events, after.failures) == (75, 25, 1)
        assert after.error == "unforeseen RuntimeError"
        await send_all(store, [to])
        assert arrived(emulator) == once(100, "x")


async def test_a_poisonous_batch_does_not_stop_the_others(store: State) -> None:
    taken: list[bytes] = []

    async def handle(server: TcpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            got = await server.read_request(reader)
            bad = b'"x.0"' in got
            taken.extend([] if bad else [got])
            writer.write(f"HTTP/1.1 {500 if bad else 204} Whatever\r\nContent-Length: 0\r\n\r\n".encode())

    async with tcp_server(handle) as server:
        to = destination(server.url)
        keep(store, report(250), [to])
        (outcome,) = await send_all(store, [to], seconds=2, uniform=lambda least, most: 0.1)
        assert (outcome.delivered, outcome.queued) == (225, 25)
        assert len(taken) == 9


async def test_batches_of_a_destination_that_is_configured_no_more_wait(store: State) -> None:
    async with Emulator() as emulator:
        kept, gone = destination(emulator.url, "G-AAAA"), destination(emulator.url, "G-BBBB")
        keep(store, report(5), [kept, gone])
        await send_all(store, [kept])
        assert [(after.id, after.queued_events) for after in store.status().destinations] == [
            (kept.id, 0),
            (gone.id, 5),
        ]


@pytest.mark.parametrize("days", [-20_000, 3])
async def test_what_was_collected_by_a_wrong_clock_arrives_under_the_right_time(tmp_path: Path, days: int) -> None:
    """A machine whose clock has no battery starts in 1970, and learns the time a minute later."""
    hands = Hands(wall=time.time_ns() // 1000)
    async with Emulator() as emulator:
        to = destination(emulator.url)
        hands.jump(days * DAY)
        with State.open(tmp_path / "state", clock=hands.clock) as store:
            keep(store, report(5, hands.wall), [to])
            hands.pass_time(HOUR)
            hands.jump(-days * DAY)
            (outcome,) = await send_all(store, [to])
        assert outcome.delivered == 5
        assert {event.timestamp_micros for event in emulator.events} == {hands.wall - HOUR}


async def test_after_a_start_of_the_machine_nothing_is_sent_as_of_the_future(tmp_path: Path) -> None:
    hands = Hands(wall=time.time_ns() // 1000)
    async with Emulator() as emulator:
        to = destination(emulator.url)
        with State.open(tmp_path / "state", clock=hands.clock) as store:
            keep(store, report(5, hands.wall + HOUR), [to])
        hands.boot = "second"
        with State.open(tmp_path / "state", clock=hands.clock) as store:
            await send_all(store, [to])
        assert {event.timestamp_micros for event in emulator.events} == {hands.wall}


async def test_a_store_that_fails_is_told_as_it_is(store: State, tmp_path: Path) -> None:
    async with Emulator() as emulator, Sender() as sender:
        to = [destination(emulator.url, "G-AAAA"), destination(emulator.url, "G-BBBB")]
        keep(store, report(5), to)
        store.close()
        (tmp_path / "state" / "bridge.sqlite3").unlink()
        (tmp_path / "state" / "bridge.sqlite3").mkdir()
        with pytest.raises(StateError):
            await deliver_within([DeliveryLoop(one, store, sender, Conditions()) for one in to], 5)
        assert emulator.requests == []


@pytest.mark.parametrize("fault", ["", "302*1", "400*1", "cut*1", "hang*1"])
async def test_no_log_line_outcome_or_file_has_the_secret_at_any_level(
    store: State, tmp_path: Path, logged: io.StringIO, fault: str
) -> None:
    async with Emulator(fail=fault) as emulator:
        to = destination(emulator.url)
        keep(store, report(30), [to])
        outcomes = await send_all(store, [to], total_seconds=0.5)
    assert "deliver" in logged.getvalue()
    assert SECRET not in logged.getvalue()
    assert SECRET not in repr(outcomes) + repr(store.status()) + repr(to)
    store.close()
    for path in (tmp_path / "state").iterdir():
        assert SECRET.encode() not in path.read_bytes()


async def test_told_to_end_it_finishes_what_is_queued_and_waits_for_no_pause(store: State) -> None:
    async with Emulator(fail="slow=0.3*1; 503*1") as emulator, Sender() as sender:
        to = destination(emulator.url)
        loop = DeliveryLoop(to, store, sender, Conditions(), uniform=lambda _low, _high: 60.0)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            running = group.create_task(loop.run())
            await asyncio.sleep(0)
            keep(store, report(3), [to])
            loop.wake()
            await until(lambda: len(emulator.requests) == 1)
            keep(store, report(3, tag="y"), [to])
            loop.end()
            await running
        assert len(emulator.requests) == 2
        assert arrived(emulator) == once(3, "x")
        (after,) = store.status().destinations
        assert (after.queued_events, round(((after.retry_at or 0) - store.clock.wall()) / 1e6)) == (3, 60)


async def test_woken_it_sends_what_is_new_and_tries_again_by_itself(store: State) -> None:
    async with Emulator(fail="503*1") as emulator, Sender() as sender:
        to = destination(emulator.url)
        loop = DeliveryLoop(to, store, sender, Conditions(), uniform=lambda _low, _high: 0.1)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(loop.run())
            for tag, requests in (("x", 2), ("y", 3)):
                keep(store, report(3, tag=tag), [to])
                loop.wake()
                await until(lambda requests=requests: len(emulator.requests) == requests)
            loop.end()
        assert arrived(emulator) == once(3, "x", "y")
