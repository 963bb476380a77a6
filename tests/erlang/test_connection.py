"""A connection without a socket: whatever comes, in whatever pieces, it ends in messages or in a closed connection."""

from __future__ import annotations

import asyncio
import random

import pytest

from bridge.erlang import Atom, ImproperList, NodeDown, Pid, Reference, control
from bridge.erlang import connection as connection_module
from bridge.erlang.connection import Connection
from bridge.erlang.handshake import Acceptor, Initiator
from bridge.secret import Secret
from tests.erlang.conftest import until
from tests.erlang.fuzz_etf import _mutated

PEER = Pid(Atom("a@h"), 1, 2, 3)
OWN = Pid(Atom("b@h"), 1, 0, 9)
REFERENCE = Reference(Atom("b@h"), (1, 0, 0), 9)
ALIAS = ImproperList([Atom("alias")], Reference(Atom("a@h"), (1, 2, 3), 3))
MESSAGES = [
    b"",
    control.write(control.MONITOR_P, PEER, Atom("net_kernel"), REFERENCE),
    control.write(control.LINK, PEER, OWN),
    control.write(control.SPAWN_REQUEST, REFERENCE, PEER, PEER, (Atom("m"), Atom("f"), 1), []),
    control.write(control.SPAWN_REPLY, REFERENCE, OWN, 2, PEER),
    control.write(control.MONITOR_P_EXIT, PEER, OWN, REFERENCE, Atom("noproc")),
    control.write_with((REFERENCE, Atom("return"), [1, b"x"]), control.PAYLOAD_MONITOR_P_EXIT, PEER, OWN, REFERENCE),
    control.write_with((REFERENCE, Atom("error"), 1, []), control.PAYLOAD_MONITOR_P_EXIT, PEER, OWN, REFERENCE),
    control.write_with(
        (Atom("$gen_call"), (PEER, ALIAS), (Atom("is_auth"), Atom("a@h"))),
        *(control.REG_SEND, PEER, Atom(""), Atom("net_kernel")),
    ),
    control.write_with((Atom("$gen_call"), (PEER, ALIAS), 1), control.REG_SEND, PEER, Atom(""), Atom("reporter")),
    control.write_with((Atom("io_request"), PEER, 1, 2), control.SEND, Atom(""), OWN),
    control.write(control.UNLINK_ID, 1, PEER, OWN),
]


class Wire(asyncio.Transport):
    """A transport that keeps what is written and does nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False
        self.unsent = 0

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


def framed(body: bytes, head: int = 4) -> bytes:
    return len(body).to_bytes(head, "big") + body


async def joined(requests: list[object]) -> tuple[Connection, Wire]:
    """A connection whose handshake is done, with the other machine in our hands."""
    cookie = Secret("x")
    other = Acceptor("a@h", 3, cookie, 1, lambda _: "ok")
    wire = Wire()
    connection = Connection(
        "a@h",
        Initiator("a@h", "b@h", 9, cookie, 2),
        tls=False,
        on_request=lambda _, request: requests.append(request),
        on_lost=lambda _: None,
        registered=("reporter",),
    )
    connection.connection_made(wire)
    status, question = other.receive(bytes(wire.written[2:]))
    wire.written.clear()
    await asyncio.sleep(0)  # what is written in one turn of the loop goes out at its end
    connection.data_received(framed(status, 2) + framed(question, 2))
    (last,) = other.receive(bytes(wire.written[2:]))
    wire.written.clear()
    await asyncio.sleep(0)
    connection.data_received(framed(last, 2))
    assert connection.agreed
    return connection, wire


async def called(connection: Connection) -> object:
    deadline = asyncio.get_running_loop().time() + 60
    return await connection.call("lists", "max", [[1, 2]], 60, deadline)


async def test_no_bytes_in_no_pieces_make_a_connection_fail_in_another_way():
    chance = random.Random(7)
    closed = requests = 0
    for _ in range(3000):
        asked: list[object] = []
        connection, wire = await joined(asked)
        bodies = [chance.choice(MESSAGES) for _ in range(chance.randrange(1, 6))]
        damaged = chance.randrange(len(bodies))
        bodies[damaged] = _mutated(bodies[damaged], chance)
        stream = b"".join(map(framed, bodies))
        if chance.random() < 0.3:
            stream = _mutated(stream, chance)
        while stream and not connection.lost:
            size = chance.choice([1, 3, 10, 1000])
            connection.data_received(stream[:size])
            stream = stream[size:]
        closed += connection.lost
        requests += len(asked)
        assert connection.lost == wire.closed
        connection.close()
        connection.connection_lost(None)
    assert closed > 300
    assert requests > 100


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100_000])
async def test_messages_arrive_whatever_the_pieces(size):
    asked: list[object] = []
    connection, wire = await joined(asked)
    stream = b"".join(map(framed, [*MESSAGES, MESSAGES[9], b""]))
    for at in range(0, len(stream), size):
        connection.data_received(stream[at : at + size])
    assert len(asked) == 2
    await asyncio.sleep(0)
    answers = bytes(wire.written)
    bodies = []
    while answers:
        end = 4 + int.from_bytes(answers[:4], "big")
        bodies.append(answers[4:end])
        answers = answers[end:]
    operations = [control.read(body).control[0] for body in bodies if body]
    assert operations == [control.EXIT, control.SPAWN_REPLY, control.ALIAS_SEND, control.SEND, control.UNLINK_ID_ACK]
    assert bodies.count(b"") == 2
    assert not connection.lost
    connection.close()


async def test_a_lost_connection_takes_no_calls_and_no_frames():
    connection, wire = await joined([])
    connection.close()
    connection.connection_lost(None)
    with pytest.raises(NodeDown):
        await called(connection)
    wire.written.clear()
    connection.send(b"late")
    await asyncio.sleep(0)
    assert wire.written == b""


async def test_while_the_peer_takes_nothing_it_is_not_read_and_its_requests_do_not_pile_up():
    connection, wire = await joined([])
    read = []
    wire.pause_reading = lambda: read.append("paused")
    wire.resume_reading = lambda: read.append("resumed")
    connection.pause_writing()
    call = asyncio.ensure_future(called(connection))
    await asyncio.sleep(0)
    wire.written.clear()
    await asyncio.sleep(0)
    assert wire.written == b""
    connection.resume_writing()
    await asyncio.sleep(0)
    assert read == ["paused", "resumed"]
    connection.close()
    with pytest.raises(NodeDown):
        await call


async def test_a_peer_that_was_never_heard_after_the_handshake_is_given_up_too(monkeypatch):
    """Stopped at once, it could not tell its net_ticktime: the longest that is usual holds."""
    monkeypatch.setattr(connection_module, "SILENCE_UNTIL_KNOWN", 0.2)
    connection, wire = await joined([])
    with pytest.raises(NodeDown, match="nothing was heard"):
        await called(connection)
    assert wire.closed


@pytest.mark.parametrize("told", [8, (Atom("ongoing_change_to"), 8)])
async def test_the_silence_that_is_borne_is_what_the_peer_tells(told):
    connection, _wire = await joined([])
    call = asyncio.ensure_future(called(connection))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ticktime = Reference(Atom("b@h"), (1, 0, 0), 9)
    answer = (ticktime, Atom("return"), told)
    frame = control.write_with(answer, control.PAYLOAD_MONITOR_P_EXIT, PEER, OWN, ticktime)
    connection.data_received(framed(frame))
    await asyncio.sleep(0)
    assert connection._silence == 10
    connection.close()
    with pytest.raises(NodeDown):
        await call


async def test_a_peer_that_takes_long_data_slowly_is_alive_and_one_that_takes_nothing_is_not(monkeypatch):
    monkeypatch.setattr(connection_module, "SILENCE_UNTIL_KNOWN", 0.2)
    connection, wire = await joined([])
    wire.unsent = 100
    connection.pause_writing()
    for _ in range(20):  # two hundred milliseconds twice over
        wire.unsent -= 1
        connection._watch_silence()
        await asyncio.sleep(0.02)
    assert not connection.lost
    await until("it is given up", lambda: connection.lost)
