"""What goes wrong with a connection that was made: calls fail in time, and the next one connects again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from bridge.erlang import Atom, CallTimeout, Node, NodeDown, retryable
from bridge.erlang.connection import HIGH_WATER
from bridge.erlang.errors import (
    NameTaken,
    PortRefused,
    UnknownNode,
)
from bridge.secret import Secret
from erlang_stubs.beam import eventually
from tests.erlang.conftest import LONG, until
from tests.erlang.servers import Acceptor, saying, serving, shake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from erlang_stubs.beam import Beam
    from tests.erlang.conftest import Net


@pytest.fixture(scope="module")
def failing(net: Net) -> Iterator[Beam]:
    """A node to be stopped and killed; it runs again afterwards."""
    with net.beam("failing@localhost") as beam:
        yield beam


async def test_a_node_that_is_killed_in_a_call_fails_it_at_once_and_the_next_call_connects_again(net, failing):
    async with net.node() as node:
        call = asyncio.ensure_future(node.call(failing.name, "timer", "sleep", [Atom("infinity")], timeout=LONG))
        await asyncio.to_thread(eventually, "it is connected", lambda: failing.eval("nodes(hidden)") != "[]")
        await asyncio.to_thread(failing.kill)
        with pytest.raises(NodeDown) as failure:
            await call
        assert retryable(failure.value)
        with pytest.raises((UnknownNode, PortRefused)):
            await node.call(failing.name, "erlang", "node", [], timeout=LONG)
        assert node.connected() == []
        await asyncio.to_thread(failing.start)
        assert await node.call(failing.name, "erlang", "node", [], timeout=LONG) == failing.name


async def test_a_node_that_is_stopped_in_a_call_is_given_up_with_the_call_and_goes_on_afterwards(net, failing):
    async with net.node() as node:
        assert await node.call(failing.name, "erlang", "node", [], timeout=LONG) == failing.name
        failing.pause()

        async def calls() -> None:
            for _ in range(100):  # the first ones may be answered before it stops
                await node.call(failing.name, "erlang", "node", [], timeout=0.5)

        with pytest.raises(CallTimeout):
            await calls()
        failing.resume()
        assert await node.call(failing.name, "erlang", "node", [], timeout=LONG) == failing.name


async def test_by_the_net_ticktime_an_idle_node_is_kept_and_a_stopped_one_given_up(net):
    """The node drops within five seconds who does not answer its ticks; so do we with a node that sends none."""
    ticks = ("-kernel", "net_ticktime", "4")
    with net.beam("idle@localhost", *ticks) as idle, net.beam("stopped@localhost", *ticks) as stopped:
        async with net.node() as node:
            for beam in (idle, stopped):
                await node.call(beam.name, "erlang", "node", [], timeout=LONG)
            # the same was asked of it before, so its answer to that is here too
            assert await node.call(stopped.name, "net_kernel", "get_net_ticktime", [], timeout=LONG) == 4
            call = asyncio.ensure_future(node.call(stopped.name, "timer", "sleep", [Atom("infinity")], timeout=60))
            await asyncio.sleep(0)
            stopped.pause()
            with pytest.raises(NodeDown, match=r"^node stopped@localhost went down during a call: nothing was heard"):
                await call
            await asyncio.sleep(1.5)  # 6.5 s without a call
            assert node.connected() == [idle.name]
            assert idle.eval("nodes(hidden)") != "[]"


async def test_after_failures_the_next_attempts_wait_longer_or_fail_with_the_same_cause(net25, beam25):
    loop = asyncio.get_running_loop()
    async with net25.node() as node:
        began = loop.time()
        for _ in range(3):
            with pytest.raises(UnknownNode):
                await node.call("nobody@localhost", "erlang", "node", [], timeout=LONG)
        assert loop.time() - began >= 0.2 + 0.4
        with pytest.raises(UnknownNode):  # and not a time-out: there is no time to try again
            await node.call("nobody@localhost", "erlang", "node", [], timeout=0.01)
        await node.connect(beam25.name, timeout=LONG)
        node.forget()
        assert node.connected() == [beam25.name]
        again = loop.time()
        with pytest.raises(UnknownNode):
            await node.call("nobody@localhost", "erlang", "node", [], timeout=LONG)
        assert loop.time() - again < 0.4, "the fourth attempt would have waited twice as long"


async def test_who_gives_up_waiting_for_a_connection_leaves_it_to_the_others(net25, beam25):
    async with net25.node() as node:
        first = asyncio.ensure_future(node.call(beam25.name, "erlang", "node", [], timeout=LONG))
        second = asyncio.ensure_future(node.call(beam25.name, "erlang", "node", [], timeout=LONG))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == beam25.name
        assert len(node.connected()) == 1


async def test_a_peer_that_takes_nothing_makes_callers_wait_and_not_the_memory_grow(net25):
    with net25.beam("stuck@localhost") as beam:
        async with net25.node() as node:
            await node.call(beam.name, "erlang", "node", [], timeout=LONG)
            beam.pause()
            blob = bytes(1_000_000)
            tracemalloc.start()
            try:
                for _ in range(40):
                    with contextlib.suppress(CallTimeout):  # the first ones may be answered before it stops
                        await node.call(beam.name, "erlang", "byte_size", [blob], timeout=0.02)
                many = [node.call(beam.name, "erlang", "byte_size", [blob], timeout=LONG) for _ in range(200)]
                waiting = asyncio.gather(*many)
                with pytest.raises(CallTimeout):
                    await node.call(beam.name, "erlang", "node", [], timeout=0.1)
                assert not waiting.done()
                beam.resume()  # all who waited are woken at once
                assert await waiting == [len(blob)] * 200
                assert tracemalloc.get_traced_memory()[1] < 5 * HIGH_WATER
            finally:
                tracemalloc.stop()


@pytest.mark.parametrize("ends", ["reset", "close"])
async def test_a_connection_that_was_reset_is_replaced_and_one_that_the_peer_closed_is_not(ends):
    """After a reset the peer may not have noticed yet; what it closed itself another program of our name may have."""
    connections = 0
    lost: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await shake(Acceptor("peer@localhost", "x", status=b"alive" if connections > 1 else b"ok"), reader, writer)
        await reader.readexactly(4)  # the first of what is asked of every node
        if connections > 1:
            await reader.read()
        if ends == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        else:
            while not reader.at_eof() and await reader.read(65_536) and not lost:
                writer.write_eof()

    node = Node("me@localhost", Secret("x"), on_down=lambda name, _: lost.append(name))
    async with serving(answer) as port, node:
        await node.connect(f"peer@localhost:{port}", timeout=LONG)
        await until("it is lost", lambda: lost == ["peer@localhost"])
        if ends == "reset":
            await node.connect(f"peer@localhost:{port}", timeout=LONG)
            assert node.connected() == ["peer@localhost"]
        else:
            with pytest.raises(NameTaken):
                await node.connect(f"peer@localhost:{port}", timeout=LONG)


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "sent",
    [
        frame(b"p\x83" + b"h\1" * 1_000_000 + b"j"),
        frame(b"p\x83l\xff\xff\xff\xffj"),
        frame(b"p\x83m\xff\xff\xff\xff"),
        frame(b"p\x83a\1"),
        frame(b"p"),
        frame(b"\x83D\0h\0"),
        frame(b"n"),
    ],
    ids=lambda sent: repr(sent[:16]),
)
async def test_whatever_a_peer_sends_costs_it_no_more_than_its_connection(caplog, sent):
    lost: list[str] = []
    node = Node("victim@localhost", Secret("x"), on_down=lambda name, _: lost.append(name))
    async with node as victim, saying("hostile@localhost", "x", sent) as port:
        try:
            await victim.connect(f"hostile@localhost:{port}", timeout=LONG)
            await until("it is closed", lambda: lost == ["hostile@localhost"])
        except NodeDown:
            assert lost == [], "it was never up"
        assert victim.connected() == []
    assert caplog.text == ""
