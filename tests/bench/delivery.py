"""Delivery: draining against a bare httpx loop, `status` over a long queue."""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from bridge.conditions import Conditions
from bridge.delivery.loop import DeliveryLoop, deliver_within
from bridge.delivery.sender import Sender
from bridge.state.state import State
from tests.bench.paired import milliseconds, show, take_turns
from tests.delivery.support import TcpServer, destination, keep, report, tcp_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection


EVENTS = 100_000
ROUNDS = 3


async def _answer(server: TcpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await server.read_request(reader)
        server.requests.clear()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def _serve(port: Connection) -> None:
    async with tcp_server(_answer) as server:
        port.send(server.url)
        await asyncio.sleep(3600)


@contextmanager
def quick_server() -> Iterator[str]:
    """The URL of a server in a process of its own that answers 204 as fast as it can."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=lambda: asyncio.run(_serve(theirs)))
    process.start()
    try:
        assert ours.poll(10)
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def drain_seconds(url: str, events: int = EVENTS) -> float:
    """Seconds to drain so many queued events."""
    with tempfile.TemporaryDirectory() as directory, State.open(Path(directory)) as store:
        to = destination(url)
        keep(store, report(events), [to])

        async def drain() -> float:
            async with Sender() as sender:
                started = time.perf_counter()
                await deliver_within([DeliveryLoop(to, store, sender, Conditions())], 600)
                seconds = time.perf_counter() - started
            assert store.status(0).destinations[0].delivered == events
            return seconds

        return asyncio.run(drain())


def httpx_seconds(url: str, events: int = EVENTS) -> float:
    """Seconds for the same requests with httpx alone, one after the other."""
    to = destination(url)
    requests = [to.request(batch.body, time.time_ns() // 1000) for batch in to.batches(report(events))]

    async def send() -> float:
        async with httpx.AsyncClient() as client:
            started = time.perf_counter()
            for request in requests:
                answer = await client.post(request.url.reveal(), content=request.body, headers=dict(request.headers))
                assert answer.status_code == 204
            return time.perf_counter() - started

    return asyncio.run(send())


def status_seconds(batches: int) -> float:
    """Seconds to open a store with so many queued batches and read its status; the best of ten."""
    with tempfile.TemporaryDirectory() as directory:
        with State.open(Path(directory)) as store:
            keep(store, report(25 * batches), [destination("http://a/mp/collect")])

        def once() -> float:
            started = time.perf_counter()
            with State.open(Path(directory), look=True) as opened:
                assert sum(one.queued_batches for one in opened.status().destinations) == batches
            return time.perf_counter() - started

        return min(once() for _ in range(10))


def run() -> None:
    """Print both tables."""
    with quick_server() as url:
        works = {"bare httpx": partial(httpx_seconds, url), "bridge": partial(drain_seconds, url)}
        taken = take_turns(works, ROUNDS)
    pace = taken["bare httpx"].ratio_to(taken["bridge"])
    show(
        f"Draining {EVENTS:,} queued events",
        ("who", "median"),
        [(who, f"{measured.median:.2f} s") for who, measured in taken.items()]
        + [("pace of the bridge (wanted: 0.5 of bare httpx or more)", f"{pace:.2f}")],
    )
    empty, full = status_seconds(0), status_seconds(10_000)
    show(
        "status",
        ("queue", "best of ten"),
        [
            ("empty", milliseconds(empty)),
            ("10,000 batches", milliseconds(full)),
            ("difference (wanted: under 100 ms)", milliseconds(full - empty)),
        ],
    )
