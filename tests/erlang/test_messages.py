"""EPMD's messages, node names, control messages, the guest's answers and the errors: values and bytes, without I/O."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.erlang import Atom, EtfError, ImproperList, Limits, NodeName, Pid, Reference, control, epmd, guest
from bridge.erlang import errors as errors_module
from bridge.erlang.calls import Call, Calls, Failed, Returned
from bridge.erlang.errors import (
    PHASES,
    BadNodeName,
    ConnectError,
    ErlangError,
    NotAllowed,
    RemoteError,
    UnknownNode,
    retryable,
)
from bridge.erlang.handshake import Agreed
from bridge.erlang.names import check_style
from tests.erlang.strategies import all_terms

if TYPE_CHECKING:
    from bridge.erlang.channel import Event

PEER = Pid(Atom("a@h"), 1, 2, 3)
GONE = Pid(Atom("b@h"), 9, 0, 1)
REFERENCE = Reference(Atom("a@h"), (1, 2, 3), 3)


def test_requests_to_epmd():
    assert epmd.port_please("mongooseim") == b"\0\x0bzmongooseim"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"w\x00\x12\x34M\x00\x00\x06\x00\x05\x00\x01a\x00\x00", epmd.NodePort(0x1234, 6, 5)),
        (b"w\x01", None),
    ],
)
def test_answers_to_a_look_up(answer, found):
    assert epmd.read_port(answer) == found


@given(st.binary(max_size=30))
def test_no_answer_of_epmd_makes_us_fail_in_another_way(answer):
    for read in (epmd.read_port, epmd.read_names):
        with contextlib.suppress(EtfError):
            read(answer)


@pytest.mark.parametrize(
    ("value", "port"), [("", 4369), ("5000", 5000), ("nonsense", 4369), ("0", 4369), ("70000", 4369), ("-1", 4369)]
)
def test_the_port_of_epmd_is_that_of_the_environment(value, port):
    assert epmd.epmd_port({"ERL_EPMD_PORT": value}) == port
    assert epmd.epmd_port({}) == 4369


@pytest.mark.parametrize(
    ("text", "name", "long"),
    [
        ("a@h", NodeName("a", "h"), False),
        ("a@h.example.org", NodeName("a", "h.example.org"), True),
        ("a@h:1234", NodeName("a", "h", 1234), False),
        ("a@127.0.0.1:1", NodeName("a", "127.0.0.1", 1), True),
        ("a@[::1]:25000", NodeName("a", "::1", 25000), True),
        ("a@[fe80::1]", NodeName("a", "fe80::1"), True),
        ("a@::1", NodeName("a", "::1"), True),
        ("a@2001:db8::25", NodeName("a", "2001:db8::25"), True),
    ],
)
def test_node_names_are_taken_apart(text, name, long):
    assert NodeName.parse(text) == name
    assert name.long is long
    assert str(name) == f"{name.name}@{name.host}"


@pytest.mark.parametrize(("own", "peer"), [("b@h", "a@h.org"), ("b@h.org", "a@h")])
def test_short_and_long_names_do_not_mix(own, peer):
    with pytest.raises(BadNodeName, match=r"short|long"):
        check_style(NodeName.parse(own), NodeName.parse(peer))


@given(st.lists(all_terms, max_size=3), all_terms)
@settings(max_examples=60)
def test_control_messages_are_read_as_they_were_written(fields, payload):
    for frame in (control.write_with(payload, 99, *fields), control.write(99, *fields)):
        read = control.read(b"before" + frame + b"after", 6, 6 + len(frame))
        written = control.write(*read.control)
        assert (written if read.payload is None else control.write_with(read.payload, *read.control)) == frame


@pytest.mark.parametrize(
    "frame",
    [
        b"p",
        b"\x83D\x00h\x01a\x02",  # a header of atoms, which we did not agree to
        b"p\x83a\x02",
        b"p\x83h\x00",
        b"p\x83h\x01w\x01a",
    ],
)
def test_frames_that_are_no_messages_are_errors(frame):
    with pytest.raises(EtfError):
        control.read(frame)


@pytest.mark.parametrize("payload", [b"a\x01", b"\x83a\x01x", b"\x83", b"\x83m\xff\xff\xff\xff"])
def test_a_payload_that_cannot_be_read_costs_only_what_it_is_about(payload):
    message = control.read(b"p\x83h\x01a\x02" + payload)
    assert message.control == (2,)
    assert isinstance(message.payload, EtfError)


def test_a_message_of_a_traced_process_is_the_same_without_its_token():
    token = (0, 0, PEER, 1, 0)
    frame = control.write_with(Atom("hello"), 16, PEER, Atom(""), Atom("name"), token)
    assert control.read(frame) == control.Message((control.REG_SEND, PEER, Atom(""), Atom("name")), Atom("hello"))


def answered(payload: object, *message: object, registered: tuple[str, ...] = ()) -> object:
    return guest.answer(control.Message(message, payload), registered)


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ((control.MONITOR_P, PEER, Atom("nobody"), REFERENCE), (21, Atom("nobody"), PEER, REFERENCE, Atom("noproc"))),
        ((control.MONITOR_P, PEER, GONE, REFERENCE), (21, GONE, PEER, REFERENCE, Atom("noproc"))),
        ((control.LINK, PEER, GONE), (3, GONE, PEER, Atom("noproc"))),
        ((control.SPAWN_REQUEST, REFERENCE, PEER, PEER, (1, 2, 3), []), (31, REFERENCE, PEER, 0, Atom("notsup"))),
        ((control.UNLINK_ID, 77, PEER, GONE), (36, 77, GONE, PEER)),
    ],
)
def test_what_a_hidden_node_owes_its_hosts(message, answer):
    assert answered(None, *message) == [control.write(*answer)]


@pytest.mark.parametrize(
    "message",
    [
        (control.MONITOR_P, PEER, Atom("net_kernel"), REFERENCE),
        (control.MONITOR_P, PEER, Atom("reporter"), REFERENCE),
        (control.DEMONITOR_P, PEER, Atom("net_kernel"), REFERENCE),
        (control.EXIT, PEER, PEER, Atom("normal")),
        (control.UNLINK_ID_ACK, 1, PEER, PEER),
        (control.MONITOR_P,),
        (control.LINK, 1, 2),
        (control.SPAWN_REQUEST,),
        (99, 1, 2),
    ],
)
def test_what_needs_no_answer_gets_none(message):
    assert answered(None, *message, registered=("reporter",)) == []


@pytest.mark.parametrize(
    "payload",
    [
        Atom("hello"),
        (Atom("$gen_call"), 1, 2),
        (Atom("$gen_call"), (PEER, 1), Atom("no_is_auth")),
        (Atom("$gen_cast"), 1),
        [],
    ],
)
def test_net_kernel_answers_pings_and_nothing_else(payload):
    assert answered(payload, control.REG_SEND, PEER, Atom(""), Atom("net_kernel")) == []


def test_other_calls_to_net_kernel_end_at_once():
    call = (Atom("$gen_call"), (PEER, REFERENCE), (Atom("spawn"), 1))
    expected = control.write(control.MONITOR_P_EXIT, Atom("net_kernel"), PEER, REFERENCE, Atom("noproc"))
    assert answered(call, control.REG_SEND, PEER, Atom(""), Atom("net_kernel")) == [expected]


def test_replies_go_to_the_alias_where_there_is_one():
    alias = ImproperList([Atom("alias")], REFERENCE)
    ping = (Atom("$gen_call"), (PEER, alias), (Atom("is_auth"), Atom("a@h")))
    expected = control.write_with((alias, Atom("yes")), control.ALIAS_SEND, PEER, REFERENCE)
    assert answered(ping, control.REG_SEND, PEER, Atom(""), Atom("net_kernel")) == [expected]
    plain = (Atom("$gen_call"), (PEER, REFERENCE), (Atom("is_auth"), Atom("a@h")))
    expected = control.write_with((REFERENCE, Atom("yes")), control.SEND, Atom(""), PEER)
    assert answered(plain, control.REG_SEND, PEER, Atom(""), Atom("net_kernel")) == [expected]


def test_a_multi_call_is_answered_to_its_alias():
    tag = ImproperList([ImproperList([Atom("alias")], REFERENCE)], Reference(Atom("a@h"), (7, 7, 7), 3))
    ping = (Atom("$gen_call"), (PEER, tag), (Atom("is_auth"), Atom("a@h")))
    expected = control.write_with((tag, Atom("yes")), control.ALIAS_SEND, PEER, REFERENCE)
    assert answered(ping, control.REG_SEND, PEER, Atom(""), Atom("net_kernel")) == [expected]


def test_io_requests_are_refused_at_once():
    request = (Atom("io_request"), PEER, REFERENCE, (Atom("put_chars"), Atom("unicode"), b"x"))
    (frame,) = answered(request, control.SEND, Atom(""), Pid(Atom("b@h"), 1, 0, 9))
    refusal = control.Message(
        (control.SEND, Atom(""), PEER), (Atom("io_reply"), REFERENCE, (Atom("error"), Atom("notsup")))
    )
    assert control.read(frame) == refusal


# The table of calls.


AGREED = Agreed("b@h", 9, "a@h", 3)


def table() -> tuple[Calls, Call, list[bytes], Reference]:
    written: list[bytes] = []
    calls = Calls(AGREED, written.append, Limits())
    call = calls.start("lists", "max", [[1, 2]])
    message = control.read(written[0])
    own = Pid(Atom("b@h"), 1, 0, 9)
    run = (Atom("erpc"), Atom("execute_call"), 4)
    reference = message.control[1]
    assert message.control == (control.SPAWN_REQUEST, reference, own, own, run, [Atom("monitor")])
    assert message.payload == [reference, Atom("lists"), Atom("max"), [[1, 2]]]
    return calls, call, written, reference


def take(calls: Calls, frame: bytes) -> list[Event]:
    """What becomes of calls by a frame, which stands between other bytes."""
    events: list[Event] = []
    assert calls.receive(b"xx" + frame + b"yy", 2, 2 + len(frame), events) is None, "it is about a call"
    return events


OWN = Pid(Atom("b@h"), 1, 0, 9)
RUNNER = Pid(Atom("a@h"), 88, 0, 3)


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
    calls = Calls(AGREED, written.append, Limits())
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
    calls = Calls(AGREED, written.append, Limits())
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


# Errors.

CLASSES = [kind for kind in vars(errors_module).values() if isinstance(kind, type) and issubclass(kind, ErlangError)]


def test_the_tree_in_the_module_is_the_tree_of_the_classes():
    for kind in CLASSES:
        assert kind.__name__ in errors_module.__doc__


@pytest.mark.parametrize(
    "kind", [kind for kind in CLASSES if issubclass(kind, ConnectError) and kind is not ConnectError]
)
def test_each_cause_says_what_failed_with_which_node_and_what_to_do(kind):
    error = kind("a@h", ["detail"]) if kind is UnknownNode else kind("a@h", "detail")
    assert error.what.startswith("node a@h ")
    assert "detail" in error.what
    assert kind.problem != ConnectError.problem
    assert error.remedy == kind.advice != ""
    assert error.phase in PHASES


def test_what_comes_from_elsewhere_is_escaped():
    assert str(NotAllowed("a\x1b]0;x\x07@h", "status \x9b31m\u202e")).isprintable()


def test_what_mends_itself_is_worth_a_retry_and_the_rest_is_not():
    passing = {"UnresolvableHost", "NoEpmd", "UnknownNode", "PortRefused", "PhaseTimeout", "SilentPort", "NameTaken"}
    passing |= {"NodeDown", "CallTimeout"}
    for kind in CLASSES:
        error = kind.__new__(kind)
        assert retryable(error) == (kind.__name__ in passing), kind
    assert not retryable(ValueError())
