"""A connection without a socket: whatever comes, in whatever pieces, it makes events or one error, and time is told."""

from __future__ import annotations

import random

import pytest

from bridge.erlang import Atom, EtfError, ImproperList, Pid, Reference, control
from bridge.erlang.calls import Call, Failed, Returned
from bridge.erlang.channel import FRAME_LIMIT, SILENCE_UNTIL_KNOWN, Channel, Event, Learned, Lost
from bridge.erlang.errors import ProtocolViolation, TlsExpected
from bridge.erlang.guest import Request
from bridge.erlang.handshake import Handshake
from bridge.secret import Secret
from tests.erlang.fuzz_etf import mutated
from tests.erlang.servers import Acceptor

PEER = Pid(Atom("a@h"), 1, 2, 3)
RUNNER = Pid(Atom("a@h"), 88, 0, 3)
OWN = Pid(Atom("b@h"), 1, 0, 9)
REFERENCE = Reference(Atom("b@h"), (1, 0, 0), 9)
ALIAS = ImproperList([Atom("alias")], Reference(Atom("a@h"), (1, 2, 3), 3))
REQUEST = control.write_with((Atom("$gen_call"), (PEER, ALIAS), 1), control.REG_SEND, PEER, Atom(""), Atom("reporter"))
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
    REQUEST,
    control.write_with((Atom("io_request"), PEER, 1, 2), control.SEND, Atom(""), OWN),
    control.write(99, 1),
    control.write_with(1, 98),
    control.write(control.UNLINK_ID, 1, PEER, OWN),
]


def framed(body: bytes, head: int = 4) -> bytes:
    return len(body).to_bytes(head, "big") + body


def frames(data: bytes) -> list[bytes]:
    bodies = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        bodies.append(data[4:end])
        data = data[end:]
    return bodies


def joined() -> Channel:
    """A channel whose handshake is done; what it asks of every node lies ready to be sent."""
    channel = Channel(Handshake("a@h", "b@h", 9, Secret("x"), 2), tls=False, now=0.0, registered=("reporter",))
    acceptor = Acceptor("a@h", "x")
    while not channel.agreed:
        for answer in acceptor.receive(channel.data_to_send(0.0)[2:]):
            channel.receive_data(framed(answer, 2), 0.0)
    return channel


def returned(reference: Reference, value: object) -> bytes:
    return framed(control.write_with((reference, Atom("return"), value), 28, RUNNER, OWN, reference))


def greeted(ticktime: object = 60) -> Channel:
    """A channel over which calls can be made."""
    channel = joined()
    asked = [control.read(body) for body in frames(channel.data_to_send(0.0))]
    assert [message.payload[1:3] for message in asked] == [
        [Atom("net_kernel"), Atom("get_net_ticktime")],
        [Atom("erlang"), Atom("whereis")],
    ]
    assert channel.receive_data(returned(asked[0].control[1], ticktime), 0.0) == [Learned()]
    assert not channel.greeted
    assert channel.receive_data(returned(asked[1].control[1], PEER), 0.0) == [Learned()]
    assert channel.greeted
    return channel


def started(channel: Channel, *args: object) -> tuple[Call, Reference]:
    call = channel.calls.start("lists", "max", list(args))
    (body,) = frames(channel.data_to_send(0.0))
    return call, control.read(body).control[1]


def test_no_bytes_in_no_pieces_make_a_channel_fail_in_another_way():
    chance = random.Random(7)
    closed = requests = 0
    for _ in range(1500):
        channel = joined()
        bodies = [chance.choice(MESSAGES) for _ in range(chance.randrange(1, 6))]
        damaged = chance.randrange(len(bodies))
        bodies[damaged] = mutated(bodies[damaged], chance)
        stream = b"".join(map(framed, bodies))
        if chance.random() < 0.3:
            stream = mutated(stream, chance)
        lost = False
        while stream and not lost:
            size = chance.choice([1, 3, 10, 1000])
            events = channel.receive_data(stream[:size], 1.0)
            requests += sum(isinstance(event, Request) for event in events)
            lost = any(isinstance(event, Lost) for event in events)
            channel.data_to_send(0.0)
            stream = stream[size:]
        closed += lost
    assert closed > 100
    assert requests > 50


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100_000])
def test_messages_arrive_whatever_the_pieces(size):
    channel = greeted()
    stream = b"".join(map(framed, [*MESSAGES, REQUEST, b""]))
    events: list[Event] = []
    for at in range(0, len(stream), size):
        events += channel.receive_data(stream[at : at + size], 1.0)
    assert [event.name for event in events if isinstance(event, Request)] == ["reporter"] * 2
    bodies = frames(channel.data_to_send(0.0))
    operations = [control.read(body).control[0] for body in bodies if body]
    assert operations == [control.EXIT, control.SPAWN_REPLY, control.ALIAS_SEND, control.SEND, control.UNLINK_ID_ACK]
    assert bodies.count(b"") == 2, "each tick is answered"


@pytest.mark.parametrize(
    "value", [b"m\xff\xff\xff\xff", b"h\1" * 100_000 + b"j", b"l\0\xff\xff\xff" + b"j" * 100, b"j" + b"x"]
)
def test_a_result_that_cannot_be_read_fails_its_call_alone(value):
    channel = greeted()
    bad, reference = started(channel)
    good, other = started(channel)
    answer = control.write_with((reference, Atom("return"), []), 28, RUNNER, OWN, reference)
    assert answer.endswith(b"j")
    (event,) = channel.receive_data(framed(answer[:-1] + value), 1.0)
    assert isinstance(event, Failed)
    assert event.call is bad
    assert isinstance(event.error, EtfError)
    assert channel.receive_data(returned(other, 1), 1.0) == [Returned(good, 1)]


def test_an_answer_beyond_every_limit_is_skipped_and_fails_its_call_alone():
    channel = greeted()
    bad, reference = started(channel)
    good, other = started(channel)
    head = control.write_with((reference, Atom("return"), b""), 28, RUNNER, OWN, reference)
    length = FRAME_LIMIT + 5
    stream = length.to_bytes(4, "big") + head
    events: list[Event] = []
    for at in range(0, len(stream), 10):
        events += channel.receive_data(stream[at : at + 10], 1.0)
    left = length - len(head)
    while left:
        events += channel.receive_data(bytes(min(left, 1_000_003)), 1.0)
        left -= min(left, 1_000_003)
    (event,) = events
    assert isinstance(event, Failed)
    assert event.call is bad
    assert "beyond the limit" in str(event.error)
    assert channel.receive_data(returned(other, 1), 1.0) == [Returned(good, 1)]


@pytest.mark.parametrize(("data", "kind"), [(b"\x15\3\3\0\2\2F", TlsExpected), (b"HTTP/1.1 400", ProtocolViolation)])
def test_what_no_node_says_first_is_told(data, kind):
    channel = Channel(Handshake("a@h", "b@h", 9, Secret("x"), 2), tls=False, now=0.0)
    (event,) = channel.receive_data(data, 1.0)
    assert isinstance(event, Lost)
    assert isinstance(event.error, kind)


def test_a_node_that_was_never_heard_after_the_handshake_is_given_up_too():
    """Stopped at once, it could not say its net_ticktime: the longest that is usual holds."""
    channel = joined()
    assert channel.check(SILENCE_UNTIL_KNOWN - 1) == []
    (event,) = channel.check(SILENCE_UNTIL_KNOWN)
    assert isinstance(event, Lost)
    assert "nothing was heard" in str(event.error)


@pytest.mark.parametrize("ticktime", [8, (Atom("ongoing_change_to"), 8)])
def test_the_silence_that_is_borne_is_what_the_node_says_and_a_quarter_more(ticktime):
    channel = greeted(ticktime)
    channel.receive_data(framed(b""), 5.0)
    assert channel.check(14.9) == []
    (event,) = channel.check(15.0)
    assert isinstance(event, Lost)
    assert "nothing was heard for 10 s" in str(event.error)


def test_a_sign_of_life_is_given_where_nothing_was_sent_for_a_quarter_of_the_ticktime():
    """Also while a long answer of the node arrives, which sends no ticks meanwhile."""
    channel = greeted(8)
    channel.data_to_send(10.0)
    channel.receive_data(b"\0\1", 10.0)
    channel.check(10.0)
    assert channel.next_check == 12.0
    channel.check(11.9)
    assert channel.unsent == 0
    channel.check(12.0)
    assert channel.data_to_send(12.0) == framed(b"")


def test_a_node_that_takes_long_data_slowly_is_alive():
    channel = greeted(8)
    for now in range(1, 100):
        assert channel.check(float(now), taken=True) == []
    assert channel.check(99.0 + 10.0) != []
