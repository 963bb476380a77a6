"""The table of calls: requests and answers as bytes, and what becomes of each call."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.erlang import Atom, EtfError, Pid, Reference, RemoteError, control
from bridge.erlang.calls import Call, Calls, Failed, Returned
from bridge.erlang.handshake import Agreed

if TYPE_CHECKING:
    from bridge.erlang.channel import Event

PEER = Pid(Atom("a@h"), 1, 2, 3)
OWN = Pid(Atom("b@h"), 1, 0, 9)
RUNNER = Pid(Atom("a@h"), 88, 0, 3)
REFERENCE = Reference(Atom("a@h"), (1, 2, 3), 3)
AGREED = Agreed("b@h", 9, "a@h")


def table() -> tuple[Calls, Call, list[bytes], Reference]:
    written: list[bytes] = []
    calls = Calls(AGREED, written.append)
    call = calls.start("lists", "max", [[1, 2]])
    message = control.read(written[0])
    run = (Atom("erpc"), Atom("execute_call"), 4)
    reference = message.control[1]
    assert message.control == (control.SPAWN_REQUEST, reference, OWN, OWN, run, [Atom("monitor")])
    assert message.payload == [reference, Atom("lists"), Atom("max"), [[1, 2]]]
    return calls, call, written, reference


def take(calls: Calls, frame: bytes) -> list[Event]:
    """What becomes of calls by a frame, which stands between other bytes."""
    events: list[Event] = []
    assert calls.receive(b"xx" + frame + b"yy", 2, 2 + len(frame), events) is None, "it is about a call"
    return events


def finished(reference: Reference, payload: object) -> bytes:
    return control.write_with(payload, control.PAYLOAD_MONITOR_P_EXIT, RUNNER, OWN, reference)


@pytest.mark.parametrize("value", [2, [b"x", 1.5], (), {Atom("a"): Atom("b")}])
def test_a_result_reaches_who_waits_for_it(value):
    calls, call, _, reference = table()
    assert take(calls, control.write(control.SPAWN_REPLY, reference, OWN, 2, RUNNER)) == []
    assert take(calls, finished(reference, (reference, Atom("return"), value))) == [Returned(call, value)]
    assert calls.in_flight == 0


def test_the_usual_answers_are_recognized_without_decoding_them(monkeypatch):
    calls, call, _, reference = table()
    monkeypatch.delattr(control, "read")
    assert take(calls, control.write(control.SPAWN_REPLY, reference, OWN, 2, RUNNER)) == []
    assert take(calls, finished(reference, (reference, Atom("return"), 1))) == [Returned(call, 1)]


@pytest.mark.parametrize(
    ("payload", "kind", "reason"),
    [
        (("REF", Atom("throw"), 1), "throw", 1),
        (("REF", Atom("exit"), Atom("x")), "exit", Atom("x")),
        (("REF", Atom("error"), Atom("undef"), [Atom("stack")]), "error", Atom("undef")),
        (Atom("killed"), "exit", Atom("killed")),
        ((Atom("oops"), 1, 2), "exit", (Atom("oops"), 1, 2)),
        ((REFERENCE, Atom("return"), 1), "exit", (REFERENCE, Atom("return"), 1)),  # of another call
    ],
)
def test_a_failure_reaches_who_waits_with_class_and_reason(payload, kind, reason):
    for payload_is_inline in (False, True):
        calls, call, _, reference = table()
        ours = isinstance(payload, tuple) and payload[0] == "REF"
        filled = (reference, *payload[1:]) if ours else payload
        inline = control.write(control.MONITOR_P_EXIT, RUNNER, OWN, reference, filled)
        (failed,) = take(calls, inline if payload_is_inline else finished(reference, filled))
        assert isinstance(failed, Failed)
        assert failed.call is call
        assert isinstance(failed.error, RemoteError)
        assert (failed.error.kind, failed.error.reason) == (kind, reason)


def test_the_group_leader_is_ours_until_there_is_another():
    written: list[bytes] = []
    calls = Calls(AGREED, written.append)
    calls.start("m", "f", [])
    calls.lead(PEER)
    calls.start("m", "f", [])
    assert [control.read(frame).control[3] for frame in written] == [OWN, PEER]


def test_a_spawn_that_is_refused_is_an_error():
    calls, _, _, reference = table()
    (failed,) = take(calls, control.write(control.SPAWN_REPLY, reference, OWN, 0, Atom("notsup")))
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, RemoteError)
    assert failed.error.reason == "notsup"


def test_answers_that_nobody_waits_for_are_dropped():
    calls, call, written, reference = table()
    strange = Reference(reference.node, (*reference.ids[:2], 5), reference.creation)
    older = Reference(reference.node, reference.ids, 8)
    short = Reference(reference.node, reference.ids[:1], reference.creation)
    for other in (strange, older, short):
        assert take(calls, control.write(control.SPAWN_REPLY, other, OWN, 2, RUNNER)) == []
        assert take(calls, finished(other, (other, Atom("return"), 1))) == []
    result = finished(reference, (reference, Atom("return"), 1))
    assert take(calls, result) == [Returned(call, 1)]
    assert take(calls, result) == []  # twice
    assert len(written) == 1


@pytest.mark.parametrize("known", [True, False])
def test_a_call_that_is_given_up_is_killed_as_soon_as_its_process_is_known(known):
    written: list[bytes] = []
    calls = Calls(AGREED, written.append)
    call = calls.start("timer", "sleep", [1])
    reference = control.read(written[0]).control[1]
    spawned = control.write(control.SPAWN_REPLY, reference, OWN, 2, RUNNER)
    if known:
        take(calls, spawned)
        calls.give_up(call)
    else:
        calls.give_up(call)
        assert len(written) == 1
        take(calls, spawned)
    assert control.read(written[1]).control == (control.EXIT2, OWN, RUNNER, Atom("kill"))
    assert calls.in_flight == 1, "it is in the table until its process has ended"
    (ended,) = take(calls, finished(reference, Atom("killed")))
    assert ended.call is call
    assert calls.in_flight == 0
    assert len(written) == 2


@given(st.binary(max_size=40), st.integers(0, 60), st.binary(max_size=3))
def test_a_damaged_answer_is_an_etf_error_or_dropped(noise, at, piece):
    calls, _, _, reference = table()
    frame = finished(reference, (reference, Atom("return"), [1, noise]))
    damaged = frame[:at] + piece + frame[at + 1 :]
    with contextlib.suppress(EtfError):
        calls.receive(damaged, 0, len(damaged), [])
