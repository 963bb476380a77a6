"""What goes wrong with a connection: each cause has its own error, in time, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from bridge.erlang import Atom, CallTimeout, Node, NodeDown, Pid, control, dial, epmd, retryable
from bridge.erlang.connection import HIGH_WATER
from bridge.erlang.errors import (
    BadCookie,
    BadNodeName,
    NameTaken,
    NoEpmd,
    NotAllowed,
    PhaseTimeout,
    PortRefused,
    ProtocolViolation,
    SilentPort,
    UnknownNode,
    UnresolvableHost,
    WrongNode,
)
from bridge.erlang.errors import retryable as retry
from bridge.secret import Secret
from erlang_stubs.beam import eventually, free_port
from tests.erlang.acceptor import Acceptor, saying
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
    assert retry(await refused(net.node(epmd_port=free_port()), "nobody@localhost", NoEpmd))


async def test_a_host_without_an_address_is_told(net25):
    assert "nowhere.invalid" in str(await refused(net25.node(), "a@nowhere.invalid", UnresolvableHost))


async def test_a_port_on_which_nothing_listens_is_told(net25):
    await refused(net25.node(), f"a@localhost:{free_port()}", PortRefused)


async def test_an_epmd_entry_that_leads_nowhere_is_told(net25):
    """EPMD has a node whose port nobody listens on, as behind a firewall that refuses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", net25.epmd.port)
    head = bytes([120]) + free_port().to_bytes(2, "big") + bytes([72, 0, 0, 6, 0, 6, 0, 5]) + b"stale\0\0"  # ALIVE2_REQ
    writer.write(len(head).to_bytes(2, "big") + head)
    assert (await reader.readexactly(2))[1] == 0
    await refused(net25.node(), "stale@localhost", PortRefused)
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
        await refused(net25.node(epmd_port=port), "a@localhost", kind)


async def test_an_unknown_node_comes_with_the_names_that_epmd_lists_however_many(net25):
    """More than one segment of them, and one that no node can have."""
    names = ["a" * 1_000_000, *(f"node{number:03}" for number in range(400)), "zlast"]
    listed = "".join(f"name {name} at port 4000\n" for name in names).encode()

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readexactly(3)
        writer.write(b"w\1" if request[2:] == b"z" else b"\0\0\x11\x11" + listed)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with serving(answering) as port:
        error = await refused(net25.node(epmd_port=port), "a@localhost", UnknownNode)
    assert "it lists node000, node001" in str(error)
    assert len(str(error)) < 1000
    assert epmd.read_names(b"\0\0\x11\x11" + listed)[-1] == "zlast"


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        pass


async def test_each_phase_that_gets_no_answer_names_itself(net25, monkeypatch):
    monkeypatch.setattr(dial, "PHASE_TIMEOUT", 0.2)
    async with serving(silent) as port:
        assert "handshake" in str(await refused(net25.node(), f"a@localhost:{port}", PhaseTimeout))
        assert "EPMD" in str(await refused(net25.node(epmd_port=port), "a@localhost", PhaseTimeout))


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
    async with net.node(epmd_port=free_port()) as node:
        assert await node.call(f"{beam.name}:{port}", "erlang", "node", [], timeout=LONG) == beam.name


async def test_a_port_that_was_given_once_is_not_kept_for_the_name_alone(net25, beam25):
    async with net25.node() as node:
        with pytest.raises(PortRefused):
            await node.connect(f"{beam25.name}:{free_port()}", timeout=LONG)
        assert await node.call(beam25.name, "erlang", "node", [], timeout=LONG) == beam25.name


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
            with pytest.raises((UnknownNode, PortRefused)):
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
            # the same was asked of it before, so its answer to that is here too
            assert await node.call(stopped.name, "net_kernel", "get_net_ticktime", [], timeout=LONG) == 8
            call = asyncio.ensure_future(node.call(stopped.name, "timer", "sleep", [Atom("infinity")], timeout=60))
            await asyncio.sleep(0)
            stopped.pause()
            with pytest.raises(NodeDown, match=r"^node stopped@localhost went down during a call: nothing was heard"):
                await call
            await asyncio.sleep(3)  # 13 s without a call
            assert node.connected() == [idle.name]
            assert idle.eval("nodes(hidden)") != "[]"


async def test_after_failures_the_next_attempts_wait_longer_or_fail_with_the_same_cause(net25):
    loop = asyncio.get_running_loop()
    async with net25.node() as node:
        began = loop.time()
        for _ in range(3):
            with pytest.raises(UnknownNode):
                await node.call("nobody@localhost", "erlang", "node", [], timeout=LONG)
        assert loop.time() - began >= 0.2 + 0.4
        with pytest.raises(UnknownNode):  # and not a time-out: there is no time to try again
            await node.call("nobody@localhost", "erlang", "node", [], timeout=0.01)


async def test_a_program_with_a_rhythm_of_its_own_can_forget_who_is_gone(net25, beam25):
    async with net25.node() as node:
        await node.call(beam25.name, "erlang", "node", [], timeout=LONG)
        with pytest.raises(UnknownNode):
            await node.call("nobody@localhost", "erlang", "node", [], timeout=LONG)
        node.forget()
        assert node.known == [beam25.name]
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


async def test_a_socket_that_is_reset_in_a_call_fails_it(net25):
    """RST instead of FIN, as from a crashed machine or a firewall."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async with serving(answer) as port:
        await refused(net25.node(), f"a@localhost:{port}", SilentPort)


@pytest.mark.parametrize("ends", ["reset", "close"])
async def test_a_connection_that_was_reset_is_replaced_and_one_that_the_peer_closed_is_not(ends):
    """After a reset the peer may not have noticed yet; what it closed itself another program of our name may have."""
    connections = 0
    lost: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        acceptor = Acceptor("peer@localhost", "x", status=b"alive" if connections > 1 else b"ok")
        while True:
            frame = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            for each in acceptor.receive(frame):
                writer.write(len(each).to_bytes(2, "big") + each)
            if frame[:1] == b"r":
                break
        await reader.readexactly(4)  # the first of what is asked of every node
        if connections > 1:
            await reader.read()
        if ends == "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
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


@pytest.mark.parametrize("raw", [b"a\x1b]0;x\x07@h", "a\n\u202enode b is up@h".encode()])
async def test_no_control_character_of_whatever_answers_reaches_an_error(raw):
    async def status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        writer.write((len(raw) + 1).to_bytes(2, "big") + b"s" + raw)
        await reader.read(1000)

    async def name(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        for each in Acceptor(raw.decode(), "x").receive(b"N"):
            writer.write(len(each).to_bytes(2, "big") + each)
        await reader.read(1000)

    for answer, kind in ((status, NotAllowed), (name, WrongNode)):
        async with serving(answer) as port, Node("me@localhost", Secret("x")) as node:
            with pytest.raises(kind) as failure:
                await node.connect(f"a@localhost:{port}", timeout=LONG)
            assert str(failure.value).isprintable()


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


async def test_operations_that_we_do_not_know_are_ignored():
    unknown = (control.write(99, 1), control.write_with(1, 98), control.write(control.EXIT, 1, 2, 3))
    known = control.write(control.LINK, Pid(Atom("newer@localhost"), 1, 0, 3), Pid(Atom("client@localhost"), 1, 0, 3))
    sent = b"".join(map(frame, [*unknown, known]))
    async with saying("newer@localhost", "x", sent) as port, Node("client@localhost", Secret("x")) as client:
        await client.connect(f"newer@localhost:{port}", timeout=LONG)
        with pytest.raises(CallTimeout):  # the answer to the link went out before the request did
            await client.call("newer@localhost", "erlang", "node", [], timeout=0.3)
        assert client.connected() == ["newer@localhost"]
