"""EPMD's messages, node names, control messages, the guest's answers and the errors: values and bytes, without I/O."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.erlang import Atom, EtfError, ImproperList, NodeName, Pid, Reference, control, epmd, guest
from bridge.erlang import errors as errors_module
from bridge.erlang.errors import (
    PHASES,
    BadNodeName,
    ConnectError,
    ErlangError,
    NotAllowed,
)
from bridge.erlang.names import check_style
from tests.erlang.strategies import all_terms

PEER = Pid(Atom("a@h"), 1, 2, 3)
GONE = Pid(Atom("b@h"), 9, 0, 1)
REFERENCE = Reference(Atom("a@h"), (1, 2, 3), 3)


def test_requests_to_epmd():
    assert epmd.port_please("mongooseim") == b"\0\x0bzmongooseim"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"w\x00\x12\x34M\x00\x00\x06\x00\x05\x00\x01a\x00\x00", 0x1234),
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
def test_the_port_of_epmd_is_that_of_the_environment(monkeypatch, value, port):
    assert epmd.epmd_port() == 4369
    monkeypatch.setenv("ERL_EPMD_PORT", value)
    assert epmd.epmd_port() == port


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


ALIAS = ImproperList([Atom("alias")], REFERENCE)
MULTI = ImproperList([ALIAS], Reference(Atom("a@h"), (7, 7, 7), 3))


@pytest.mark.parametrize(
    ("tag", "to"),
    [
        (REFERENCE, (control.SEND, Atom(""), PEER)),
        (ALIAS, (control.ALIAS_SEND, PEER, REFERENCE)),
        (MULTI, (control.ALIAS_SEND, PEER, REFERENCE)),
    ],
)
def test_replies_go_to_the_alias_where_there_is_one(tag, to):
    ping = (Atom("$gen_call"), (PEER, tag), (Atom("is_auth"), Atom("a@h")))
    expected = control.write_with((tag, Atom("yes")), *to)
    assert answered(ping, control.REG_SEND, PEER, Atom(""), Atom("net_kernel")) == [expected]


def test_io_requests_are_refused_at_once():
    request = (Atom("io_request"), PEER, REFERENCE, (Atom("put_chars"), Atom("unicode"), b"x"))
    (frame,) = answered(request, control.SEND, Atom(""), Pid(Atom("b@h"), 1, 0, 9))
    refusal = control.Message(
        (control.SEND, Atom(""), PEER), (Atom("io_reply"), REFERENCE, (Atom("error"), Atom("notsup")))
    )
    assert control.read(frame) == refusal


# Errors.

CLASSES = [kind for kind in vars(errors_module).values() if isinstance(kind, type) and issubclass(kind, ErlangError)]


def test_the_tree_in_the_module_is_the_tree_of_the_classes():
    for kind in CLASSES:
        assert kind.__name__ in errors_module.__doc__


@pytest.mark.parametrize(
    "kind", [kind for kind in CLASSES if issubclass(kind, ConnectError) and kind is not ConnectError]
)
def test_each_cause_says_what_failed_with_which_node_and_what_to_do(kind):
    error = kind("a@h", "detail")
    assert error.what.startswith("node a@h ")
    assert "detail" in error.what
    assert kind.problem != ConnectError.problem
    assert error.remedy == kind.advice != ""
    assert error.phase in PHASES


def test_what_comes_from_elsewhere_is_escaped():
    assert str(NotAllowed("a\x1b]0;x\x07@h", "status \x9b31m\u202e")).isprintable()
