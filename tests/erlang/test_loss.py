"""What goes wrong with a connection: each cause has its own error, in time, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from bridge.erlang import Atom, CallTimeout, NodeDown, control, dial, epmd, retryable
from bridge.erlang.errors import (
    BadCookie,
    BadNodeName,
    NoEpmd,
    NotAllowed,
    PhaseTimeout,
    ProtocolViolation,
    Refused,
    UnknownNode,
    UnresolvableHost,
)
from bridge.erlang.errors import retryable as retry
from erlang_stubs.beam import eventually, free_port
from tests.erlang.conftest import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LONG = 20


def tasks_of_the_bridge() -> list[asyncio.Task]:
    return [task for task in asyncio.all_tasks() if "/bridge/erlang/" in task.get_coro().cr_code.co_filename]


async def refused(node, peer: str, kind: type[Exception], within: float = LONG) -> Exception:
    """The error of a call, which must be of exactly this kind; afterwards nothing runs on."""
    with pytest.raises(kind) as failure:
        await node.call(peer, "erlang", "node", [], timeout=within)
    assert type(failure.value) is kind
    await node.close()
    assert tasks_of_the_bridge() == []
    return failure.value


@contextlib.asynccontextmanager
async def serving(answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]) -> AsyncIterator[int]:
    """A TCP server that does as it is told; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await answer(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_a_wrong_cookie_is_told_at_once_and_is_not_worth_a_retry(net, beam):
    error = await refused(net.node(cookie="wrong"), beam.name, BadCookie)
    assert "cookie" in str(error)
    assert "wrong" not in str(error).replace("cookie is wrong", "")
    assert not retry(error)


async def test_an_unknown_node_is_told_apart_from_a_missing_epmd(net):
    assert retry(await refused(net.node(), "nobody@localhost", UnknownNode))
    node = net.node()
    node._epmd_port = free_port()
    assert retry(await refused(node, "nobody@localhost", NoEpmd))


async def test_a_host_without_an_address_is_told(net25):
    assert "nowhere.invalid" in str(await refused(net25.node(), "a@nowhere.invalid", UnresolvableHost))


async def test_a_port_on_which_nothing_listens_is_told(net25):
    await refused(net25.node(), f"a@localhost:{free_port()}", Refused)


async def test_an_epmd_entry_that_leads_nowhere_is_told(net25):
    """EPMD has a node whose port nobody listens on, as behind a firewall that refuses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", net25.epmd.port)
    writer.write(epmd.alive("stale", free_port()))
    assert (await reader.readexactly(2))[1] == 0
    await refused(net25.node(), "stale@localhost", Refused)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", NoEpmd),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", NoEpmd),
        (b"w\x00\x12", NoEpmd),
        (b"w\x01", UnknownNode),
        (b"w\x00\x12\x34M\x00\x00\x05\x00\x05\x00\x01a\x00\x00", NotAllowed),  # protocol version 5 only
    ],
)
async def test_what_epmd_may_answer(net25, answer, kind):
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with serving(answering) as port:
        node = net25.node()
        node._epmd_port = port
        await refused(node, "a@localhost", kind)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        pass


async def test_each_phase_that_gets_no_answer_names_itself(net25, monkeypatch):
    monkeypatch.setattr(dial, "PHASE_TIMEOUT", 0.2)
    async with serving(silent) as port:
        assert "handshake" in str(await refused(net25.node(), f"a@localhost:{port}", PhaseTimeout))
        node = net25.node()
        node._epmd_port = port
        assert "EPMD" in str(await refused(node, "a@localhost", PhaseTimeout))


async def test_a_call_with_less_time_than_a_phase_names_the_phase_too(net25):
    async with serving(silent) as port:
        assert "handshake" in str(await refused(net25.node(), f"a@localhost:{port}", PhaseTimeout, within=0.2))


async def test_a_resolver_that_hangs_is_told_and_keeps_nobody_from_ending(net25, monkeypatch):
    monkeypatch.setattr(dial, "PHASE_TIMEOUT", 0.2)
    never = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        never.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    assert "look-up" in str(await refused(net25.node(), "a@localhost", PhaseTimeout))
    await asyncio.get_running_loop().shutdown_default_executor()  # as asyncio.run does it
    never.set()


async def test_one_mute_peer_keeps_no_other_waiting(net25, beam25):
    async with serving(silent) as port, net25.node() as node:
        mute = asyncio.ensure_future(node.call(f"mute@localhost:{port}", "erlang", "node", [], timeout=LONG))
        assert await node.call(beam25.name, "erlang", "node", [], timeout=LONG) == beam25.name
        assert not mute.done()
        mute.cancel()


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0", b"\0\3nok", b"\xff\xff", b"\0\5s????"])
async def test_a_port_of_something_else_is_told(net25, said):
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(said)
        await reader.read(1000)

    async with serving(answer) as port, net25.node() as node:
        with pytest.raises((ProtocolViolation, NotAllowed)):
            await node.call(f"a@localhost:{port}", "erlang", "node", [], timeout=LONG)


async def test_short_and_long_names_are_told_before_connecting(net25, beam25):
    error = await refused(net25.node("bridge@localhost"), "a@host.example.org", BadNodeName)
    assert "long" in str(error)


@pytest.mark.parametrize("name", ["nohost", "a@b@c", "@host", "a@", "a b@host", "a@host:0", "a@host:70000", "zoë@host"])
async def test_what_is_no_node_name_is_told(net25, name):
    await refused(net25.node(), name, BadNodeName)


async def test_a_node_does_not_call_itself(net25, beam25):
    await refused(net25.node(beam25.name), beam25.name, BadNodeName)


async def test_a_node_needs_no_epmd_where_its_port_is_given(net, beam):
    port = int(beam.eval('element(2, erl_epmd:port_please("shared", {127,0,0,1}))'))
    node = net.node()
    node._epmd_port = free_port()
    async with node:
        assert await node.call(f"{beam.name}:{port}", "erlang", "node", [], timeout=LONG) == beam.name


async def test_a_node_that_does_not_allow_us_is_told(net):
    with net.beam("closed@localhost") as beam:
        beam.eval("net_kernel:allow(['somebody@localhost'])")
        error = await refused(net.node("bridge@localhost"), beam.name, NotAllowed)
        assert not retry(error)


async def test_a_node_that_is_killed_in_a_call_fails_it_at_once_and_the_next_call_connects_again(net):
    with net.beam("killed@localhost") as beam:
        async with net.node() as node:
            call = asyncio.ensure_future(node.call(beam.name, "timer", "sleep", [Atom("infinity")], timeout=LONG))
            await asyncio.to_thread(eventually, "it is connected", lambda: beam.eval("nodes(hidden)") != "[]")
            first = node.incarnation(beam.name)
            await asyncio.to_thread(beam.kill)
            with pytest.raises(NodeDown) as failure:
                await call
            assert retryable(failure.value)
            with pytest.raises((UnknownNode, Refused)):
                await node.call(beam.name, "erlang", "node", [], timeout=LONG)
            assert node.incarnation(beam.name) is None
            await asyncio.to_thread(beam.start)
            assert await node.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name
            assert node.incarnation(beam.name) != first


async def test_a_node_that_is_stopped_in_a_call_is_given_up_with_the_call_and_goes_on_afterwards(net):
    with net.beam("paused@localhost") as beam:
        async with net.node() as node:
            assert await node.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name
            beam.pause()

            async def calls() -> None:
                for _ in range(100):  # the first ones may be answered before it stops
                    await node.call(beam.name, "erlang", "node", [], timeout=0.5)

            with pytest.raises(CallTimeout):
                await calls()
            beam.resume()
            assert await node.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name


async def test_by_the_net_ticktime_an_idle_node_is_kept_and_a_stopped_one_given_up(net):
    """The node drops within ten seconds who does not answer its ticks; so do we with a node that sends none."""
    ticks = ("-kernel", "net_ticktime", "8")
    with net.beam("idle@localhost", *ticks) as idle, net.beam("stopped@localhost", *ticks) as stopped:
        async with net.node() as node:
            for beam in (idle, stopped):
                await node.call(beam.name, "erlang", "node", [], timeout=LONG)
            link = node._peers[stopped.name].connection
            await asyncio.to_thread(eventually, "it has told", lambda: link._silence == 10.0)
            call = asyncio.ensure_future(node.call(stopped.name, "timer", "sleep", [Atom("infinity")], timeout=60))
            await asyncio.sleep(0)
            stopped.pause()
            with pytest.raises(NodeDown, match=r"^node stopped@localhost went down during a call: nothing was heard"):
                await call
            await asyncio.sleep(3)  # 13 s without a call
            assert node.connected() == [idle.name]
            assert idle.eval("nodes(hidden)") != "[]"


async def test_the_net_ticktime_that_is_usual_is_known_as_well(net, beam):
    async with net.node() as node:
        await node.call(beam.name, "erlang", "node", [], timeout=LONG)
        link = node._peers[beam.name].connection
        await asyncio.to_thread(eventually, "it has told", lambda: link._silence == 75.0)


async def test_after_failures_the_next_attempts_wait_longer_or_fail_with_the_same_cause(net25):
    async with net25.node() as node:
        for _ in range(3):
            with pytest.raises(UnknownNode):
                await node.call("nobody@localhost", "erlang", "node", [], timeout=LONG)
        peer = node._peers["nobody@localhost"]
        assert peer._backoff == 0.8
        with pytest.raises(UnknownNode):  # and not a time-out: there is no time to try again
            await node.call("nobody@localhost", "erlang", "node", [], timeout=0.01)


async def test_a_program_with_a_rhythm_of_its_own_can_forget_who_is_gone(net25, beam25):
    async with net25.node() as node:
        await node.call(beam25.name, "erlang", "node", [], timeout=LONG)
        with pytest.raises(UnknownNode):
            await node.call("nobody@localhost", "erlang", "node", [], timeout=LONG)
        node.forget()
        assert list(node._peers) == list(node._known) == [beam25.name]
        assert node.connected() == [beam25.name]


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
            link = node._peers[beam.name].connection
            for _ in range(40):
                with contextlib.suppress(CallTimeout):  # the first ones may be answered before it stops
                    await node.call(beam.name, "erlang", "byte_size", [blob], timeout=0.02)
            assert not link._writable.is_set()
            assert link._transport.get_write_buffer_size() < 8_000_000
            beam.resume()
            assert await node.call(beam.name, "erlang", "byte_size", [blob], timeout=LONG) == len(blob)


async def test_a_socket_that_is_reset_in_a_call_fails_it(net25):
    """RST instead of FIN, as from a crashed machine or a firewall."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async with serving(answer) as port:
        await refused(net25.node(), f"a@localhost:{port}", NotAllowed)


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "sent",
    [
        frame(b"p\x83" + b"h\1" * 1_000_000 + b"j"),
        frame(b"p\x83h\4a\2w\0w\0w\0\x83" + b"l\0\0\0\1" * 100_000 + b"j" * 100_001),
        frame(b"p\x83l\xff\xff\xff\xffj"),
        frame(b"p\x83h\4a\2w\0w\0w\0\x83t\0\1\0\0" + b"h\0j" * 65_536),
        frame(b"p\x83m\xff\xff\xff\xff"),
        frame(b"p\x83a\1"),
        frame(b"p"),
        frame(b"\x83D\0h\0"),
        frame(b"n"),
        b"\xff\xff\xff\xff",
        (129 * 2**20).to_bytes(4, "big"),
    ],
    ids=lambda sent: repr(sent[:16]),
)
async def test_whatever_a_peer_sends_costs_it_no_more_than_its_connection(net25, caplog, sent):
    async with net25.node("hostile@localhost") as hostile, net25.node("victim@localhost") as victim:
        await hostile.listen("127.0.0.1")
        await victim.connect("hostile@localhost", timeout=LONG)
        link = victim._peers["hostile@localhost"].connection
        hostile._peers["victim@localhost"].connection._transport.write(sent)
        await until("it is closed", lambda: link.lost)
        await victim.connect("hostile@localhost", timeout=LONG)
    assert caplog.text == ""


async def test_operations_that_we_do_not_know_are_ignored(net25):
    async with net25.node("newer@localhost") as newer, net25.node("client@localhost") as client:
        await newer.listen("127.0.0.1")
        await client.connect("newer@localhost", timeout=LONG)
        link = client._peers["newer@localhost"].connection
        heard = link._heard
        for message in (control.write(99, 1), control.write_with(1, 98), control.write(control.EXIT, 1, 2, 3)):
            newer._peers["client@localhost"].connection.send(message)
        await until("they have arrived", lambda: link._heard > heard)
        assert not link.lost
