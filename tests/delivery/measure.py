"""Timings of delivery for `make bench`: draining against a bare httpx loop, `status` over a long queue."""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from bridge.delivery.deliver import Health, deliver
from bridge.delivery.records import status
from bridge.delivery.sender import Sender
from bridge.delivery.store import Store
from tests.delivery.support import TcpServer, destination, keep, report, tcp_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection


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


def drain_seconds(url: str, events: int = 100_000) -> float:
    """Seconds to drain so many queued events."""
    with tempfile.TemporaryDirectory() as directory, Store.open(Path(directory)) as store:
        to = destination(url)
        keep(store, report(events), [to])

        async def drain() -> float:
            async with Sender() as sender:
                started = time.perf_counter()
                (outcome,) = await deliver(store, [to], sender, seconds=600, health=Health())
                seconds = time.perf_counter() - started
            assert outcome.delivered == events, outcome
            return seconds

        return asyncio.run(drain())


def httpx_seconds(url: str, events: int = 100_000) -> float:
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
        with Store.open(Path(directory)) as store:
            keep(store, report(25 * batches), [destination("http://a/mp/collect")])

        def once() -> float:
            started = time.perf_counter()
            with Store.open(Path(directory), create=False) as opened:
                assert sum(state.batches for state in status(opened).destinations) == batches
            return time.perf_counter() - started

        return min(once() for _ in range(10))


def main() -> None:
    with quick_server() as url:
        for _ in range(3):
            bare, ours = httpx_seconds(url), drain_seconds(url)
            print(f"100,000 events: bare httpx {bare:.2f} s, bridge {ours:.2f} s, {bare / ours:.2f} of its pace")
    empty, full = status_seconds(0), status_seconds(10_000)
    print(f"status: empty {empty * 1e3:.1f} ms, 10,000 batches {full * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
