"""The handshake, frame by frame: every status, and everything that can be wrong."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.erlang import flags
from bridge.erlang.errors import (
    BadCookie,
    ConnectError,
    NameTaken,
    NotAllowed,
    ProtocolViolation,
    SilentPort,
    WrongNode,
)
from bridge.erlang.handshake import Agreed, Handshake, digest
from bridge.secret import Secret

COOKIE = Secret("chocolate")
OTP_28 = flags.MANDATORY_26 | flags.DIST_MONITOR | flags.SPAWN | flags.ALIAS | flags.MANDATORY_25_DIGEST


def initiator(creation: int | None = 7, own: str = "me@here", *, take_over: bool = True) -> Handshake:
    return Handshake("you@there", own, creation, COOKIE, challenge=4_000_000_000, take_over=take_over)


def name_message(name: str = "me@here", bits: int = OTP_28, creation: int = 7) -> bytes:
    raw = name.encode()
    return b"N" + bits.to_bytes(8, "big") + creation.to_bytes(4, "big") + len(raw).to_bytes(2, "big") + raw


def challenge_message(bits: int = OTP_28, challenge: int = 3_000_000_000) -> bytes:
    fixed = b"N" + bits.to_bytes(8, "big") + challenge.to_bytes(4, "big") + (9).to_bytes(4, "big")
    return fixed + (9).to_bytes(2, "big") + b"you@there"


def md5(challenge: int, cookie: str = "chocolate") -> bytes:
    return hashlib.md5(f"{cookie}{challenge}".encode()).digest()


def test_the_digest_is_md5_of_the_cookie_and_the_challenge_in_decimal():
    assert digest(COOKIE, 3_000_000_000) == md5(3_000_000_000)


def test_a_cookie_with_other_letters_is_taken_as_the_bytes_of_latin_1_as_erlang_does_it():
    assert digest(Secret("é"), 1) == hashlib.md5(b"\xe91").digest()
    assert digest(Secret("ł"), 1) == hashlib.md5("ł1".encode()).digest()


def test_the_first_frame_has_our_flags_creation_and_name_and_never_the_flag_that_publishes():
    frame = initiator().start()
    assert frame[:1] == b"N"
    bits = int.from_bytes(frame[1:9], "big")
    assert bits & flags.MANDATORY_26 == flags.MANDATORY_26
    assert bits & 1 == 0  # PUBLISHED
    assert bits & (1 << 13 | 1 << 23) == 0  # DIST_HDR_ATOM_CACHE, FRAGMENTS
    assert frame[9:] == (7).to_bytes(4, "big") + (7).to_bytes(2, "big") + b"me@here"


@pytest.mark.parametrize(("mask", "mandatory"), [(0x1070F94, "MANDATORY_25"), (0x403070F94, "MANDATORY_26")])
def test_the_mandatory_flags_are_those_of_the_releases(mask, mandatory):
    assert getattr(flags, mandatory) == mask


@pytest.mark.parametrize("status", [b"sok", b"sok_simultaneous", b"salive"])
def test_a_handshake_that_goes_well_agrees_on_names_creations_and_flags(status):
    machine = initiator()
    assert machine.receive(status) == (b"strue" if status == b"salive" else None)
    reply = machine.receive(challenge_message())
    assert reply == b"r" + (4_000_000_000).to_bytes(4, "big") + md5(3_000_000_000)
    assert machine.agreed is None
    assert machine.receive(b"a" + md5(4_000_000_000)) is None
    assert machine.agreed == Agreed("me@here", 7, "you@there")


def test_a_name_is_lent_with_its_creation():
    machine = initiator(creation=None, own="here")
    frame = machine.start()
    assert int.from_bytes(frame[1:9], "big") & flags.NAME_ME
    assert frame.endswith(b"\0\4here")
    assert machine.receive(b"snamed:\0\x08XYZ@here\0\0\0\x2a") is None
    machine.receive(challenge_message())
    machine.receive(b"a" + md5(4_000_000_000))
    assert machine.agreed
    assert machine.agreed[:2] == ("XYZ@here", 42)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b"snok", NameTaken),
        (b"snot_allowed", NotAllowed),
        (b"sbless_you", NotAllowed),
        (b"snamed:\0\x01a\0\0\0\1", NotAllowed),  # we have a name
        (b"x", ProtocolViolation),
        (b"", ProtocolViolation),
    ],
)
def test_statuses_that_end_the_handshake(frame, kind):
    with pytest.raises(kind):
        initiator().receive(frame)


def test_a_connection_under_our_name_is_not_replaced_where_another_program_has_it():
    with pytest.raises(NameTaken, match="second bridge"):
        initiator(take_over=False).receive(b"salive")


def test_a_status_of_a_named_node_is_none_for_one_that_asks_for_a_name():
    with pytest.raises(NotAllowed):
        initiator(creation=None).receive(b"sok")
    with pytest.raises(ProtocolViolation):
        initiator(creation=None).receive(b"snamed:\0")


@pytest.mark.parametrize("frame", [b"", b"N", challenge_message()[:-1], b"n" + challenge_message()[1:]])
def test_a_challenge_that_is_broken_is_a_violation(frame):
    machine = initiator()
    machine.receive(b"sok")
    with pytest.raises(ProtocolViolation):
        machine.receive(frame)


def test_a_peer_without_the_flags_that_calls_need_is_not_allowed_and_the_flags_are_named():
    machine = initiator()
    machine.receive(b"sok")
    with pytest.raises(NotAllowed, match="0x100000000"):
        machine.receive(challenge_message(bits=OTP_28 & ~flags.SPAWN))


def test_a_node_with_another_name_is_not_the_one_that_was_called():
    machine = Handshake("you@elsewhere", "me@here", 7, COOKIE, challenge=1)
    machine.receive(b"sok")
    with pytest.raises(WrongNode, match="you@there"):
        machine.receive(challenge_message())


def test_the_digest_flag_stands_for_the_whole_set_of_otp_25():
    assert flags.missing(flags.MANDATORY_25_DIGEST | flags.SPAWN | flags.DIST_MONITOR) == 0
    assert flags.missing(flags.SPAWN | flags.DIST_MONITOR) == flags.MANDATORY_25


@pytest.mark.parametrize(
    "frame", [b"a" + bytes(16), b"a", b"", b"x" + md5(4_000_000_000), b"a" + md5(4_000_000_000) + b"x"]
)
def test_a_peer_whose_own_digest_is_wrong_does_not_know_the_cookie(frame):
    machine = initiator()
    machine.receive(b"sok")
    machine.receive(challenge_message())
    with pytest.raises(BadCookie):
        machine.receive(frame)
    assert machine.agreed is None


def test_what_it_means_that_the_peer_closes_depends_on_what_was_due():
    machine = initiator()
    assert isinstance(machine.closed(), SilentPort)
    machine.receive(b"sok")
    assert isinstance(machine.closed(), NotAllowed)
    machine.receive(challenge_message())
    assert isinstance(machine.closed(), BadCookie)


@given(
    st.lists(
        st.one_of(st.binary(max_size=60), st.sampled_from([b"sok", b"salive", challenge_message(), name_message()]))
    )
)
def test_nothing_that_a_peer_says_makes_a_machine_fail_in_another_way(frames):
    for machine in (initiator(), initiator(creation=None), initiator(take_over=False)):
        try:
            for frame in frames:
                machine.receive(frame)
        except ConnectError:
            pass
        assert machine.agreed is None
