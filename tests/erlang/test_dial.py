"""What goes wrong before there is a connection: each cause has its own error, in time, and nothing is left behind."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from bridge import threads
from bridge.erlang import Node, dial, epmd
from bridge.erlang.errors import (
    BadCookie,
    BadNodeName,
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
from erlang_stubs.beam import free_port
from tests.erlang.conftest import LONG, refused
from tests.erlang.servers import Acceptor, once, serving, silent


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
    ],
)
async def test_what_epmd_may_answer(net25, answer, kind):
    async with serving(once(answer)) as port:
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


async def test_each_phase_that_gets_no_answer_names_itself(net25, monkeypatch):
    monkeypatch.setattr(dial, "PHASE_TIMEOUT", 0.2)
    async with serving(silent) as port:
        assert "handshake" in str(await refused(net25.node(), f"a@localhost:{port}", PhaseTimeout))
        assert "EPMD" in str(await refused(net25.node(epmd_port=port), "a@localhost", PhaseTimeout))


async def test_a_call_with_less_time_than_a_phase_names_the_phase_too(net25):
    async with serving(silent) as port:
        assert "handshake" in str(await refused(net25.node(), f"a@localhost:{port}", PhaseTimeout, within=0.2))


def test_a_resolver_that_hangs_is_told_and_keeps_nobody_from_ending(net25, monkeypatch):
    monkeypatch.setattr(dial, "PHASE_TIMEOUT", 0.2)
    never = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: never.wait(60) or [])
    begin = time.monotonic()

    async def ask() -> None:  # a node belongs to the loop in which it is made
        assert "look-up" in str(await refused(net25.node(), "a@localhost", PhaseTimeout))

    threads.run(ask())
    assert time.monotonic() - begin < LONG
    never.set()


async def test_one_mute_peer_keeps_no_other_waiting(net25, beam25):
    async with serving(silent) as port, net25.node() as node:
        mute = asyncio.ensure_future(node.call(f"mute@localhost:{port}", "erlang", "node", [], timeout=LONG))
        assert await node.call(beam25.name, "erlang", "node", [], timeout=LONG) == beam25.name
        assert not mute.done()
        mute.cancel()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ProtocolViolation),
        (b"\0\0", ProtocolViolation),
        (b"\0\3nok", ProtocolViolation),
        (b"\xff\xff", ProtocolViolation),
        (b"\0\5s????", NotAllowed),
    ],
)
async def test_a_port_of_something_else_is_told(net25, said, kind):
    async with serving(once(said)) as port:
        await refused(net25.node(), f"a@localhost:{port}", kind)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a@host.example.org", "long"),
        *((name, "not a node name") for name in ("nohost", "a@b@c", "@host", "a@", "a b@host", "zoë@host")),
        *((name, "not a node name") for name in ("a@host:0", "a@host:70000")),
        ("bridge@localhost", "own name"),
    ],
)
async def test_a_name_that_cannot_be_called_is_told_before_connecting(net25, name, why):
    assert why in str(await refused(net25.node("bridge@localhost"), name, BadNodeName))


async def test_a_node_needs_no_epmd_where_its_port_is_given(net, beam):
    port = int(beam.eval('element(2, erl_epmd:port_please("shared", {127,0,0,1}))'))
    async with net.node(epmd_port=free_port()) as node:
        assert await node.call(f"{beam.name}:{port}", "erlang", "node", [], timeout=LONG) == beam.name


async def test_a_port_that_was_given_once_is_not_kept_for_the_name_alone(net25, beam25):
    async with net25.node() as node:
        with pytest.raises(PortRefused):
            await node.connect(f"{beam25.name}:{free_port()}", timeout=LONG)
        assert await node.call(beam25.name, "erlang", "node", [], timeout=LONG) == beam25.name


async def test_a_node_that_does_not_allow_us_is_told(net25):
    with net25.beam("closed@localhost") as beam:
        beam.eval("net_kernel:allow(['somebody@localhost'])")
        error = await refused(net25.node("bridge@localhost"), beam.name, NotAllowed)
        assert not retry(error)


async def test_a_socket_that_is_reset_is_told(net25):
    """RST instead of FIN, as from a crashed machine or a firewall."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async with serving(answer) as port:
        await refused(net25.node(), f"a@localhost:{port}", SilentPort)


@pytest.mark.parametrize("raw", [b"a\x1b]0;x\x07@h", "a\n\u202enode b is up@h".encode()])
async def test_no_control_character_of_whatever_answers_reaches_an_error(raw):
    status = (len(raw) + 1).to_bytes(2, "big") + b"s" + raw
    challenge = b"".join(len(each).to_bytes(2, "big") + each for each in Acceptor(raw.decode(), "x").receive(b"N"))
    for said, kind in ((status, NotAllowed), (challenge, WrongNode)):
        async with serving(once(said)) as port:
            error = await refused(Node("me@localhost", Secret("x")), f"a@localhost:{port}", kind)
            assert str(error).isprintable()
