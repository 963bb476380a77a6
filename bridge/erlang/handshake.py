"""The version 6 handshake of the side that connects, as a machine without I/O: frames in, frames out.

    we                              the node
    N flags creation name     ──▶
                              ◀──   s status      (ok, ok_simultaneous, nok, not_allowed, alive, named:)
    s true | false            ──▶                                   (after alive only)
                              ◀──   N flags challenge creation name
    r challenge digest        ──▶
                              ◀──   a digest

A digest is md5(cookie ++ decimal(challenge)). A peer with another cookie just closes where its digest is due.
Source: "Distribution Handshake" of the Erlang Distribution Protocol chapter.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct, error
from typing import TYPE_CHECKING, Final, NamedTuple

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

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.secret import Secret

_NAME: Final = Struct(">BQIH")
_CHALLENGE: Final = Struct(">BQIIH")
_REPLY: Final = Struct(">BI16s")
_NAMED: Final = Struct(">H")


class Agreed(NamedTuple):
    """What a completed handshake settled."""

    own_name: str
    own_creation: int
    peer_name: str


class Expects(Enum):
    """What the machine waits for; the value names it in errors."""

    STATUS = "status"
    CHALLENGE = "challenge"
    DIGEST = "digest"


def digest(cookie: Secret, challenge: int) -> bytes:
    """md5(cookie ++ decimal(challenge)), 16 bytes; the protocol has no other digest."""
    import hashlib  # noqa: PLC0415 - 5 ms that only a connection needs

    text = f"{cookie.reveal()}{challenge}"
    try:
        raw = text.encode("latin-1")  # an atom of bytes, as Erlang reads its cookie file
    except UnicodeEncodeError:
        raw = text.encode()
    return hashlib.md5(raw, usedforsecurity=False).digest()


def _same(left: bytes, right: bytes) -> bool:
    import hmac  # noqa: PLC0415 - as above

    return hmac.compare_digest(left, right)


class Handshake:
    """`start` gives the first frame, `receive` the answer to each frame until `agreed`."""

    def __init__(
        self, peer: str, own: str, creation: int | None, cookie: Secret, challenge: int, *, take_over: bool = True
    ) -> None:
        """Prepare a handshake.

        Args:
            peer: the name of the node that is called.
            own: our name; with `creation` None only the host, and the peer lends a name for it.
            creation: our 32-bit creation, or None to be lent a name (NAME_ME).
            cookie: the shared secret.
            challenge: 32 random bits.
            take_over: whether to replace a connection that the peer has under our name already.
        """
        self.peer = peer
        self.agreed: Agreed | None = None
        self.expects = Expects.STATUS
        self._own = own
        self._creation = creation or 0
        self._lent = creation is None
        self._cookie = cookie
        self._challenge = challenge
        self._take_over = take_over
        self._transitions: dict[Expects, tuple[Callable[[bytes], bytes | None], Expects]] = {
            Expects.STATUS: (self._status, Expects.CHALLENGE),
            Expects.CHALLENGE: (self._challenged, Expects.DIGEST),
            Expects.DIGEST: (self._acknowledged, Expects.DIGEST),
        }
        """How each frame is read, and what is expected after it."""

    def start(self) -> bytes:
        """The first frame: our name, or the request to be lent one."""
        raw = self._own.encode()
        ours = flags.OURS | (flags.NAME_ME if self._lent else 0)
        return _NAME.pack(ord("N"), ours, self._creation, len(raw)) + raw

    def receive(self, frame: bytes) -> bytes | None:
        """Take the peer's next frame, give ours, if there is one to send.

        Raises:
            ConnectError: the peer refuses, has another cookie, or breaks the protocol.
        """
        read, then = self._transitions[self.expects]
        try:
            answer = read(frame)
        except (error, UnicodeDecodeError, IndexError) as broken:
            raise ProtocolViolation(self.peer, f"a broken {self.expects.value} message") from broken
        self.expects = then
        return answer

    def closed(self) -> ConnectError:
        """What it means that the peer closed now."""
        if self.expects is Expects.DIGEST:
            return BadCookie(self.peer)
        if self.expects is Expects.STATUS:
            return SilentPort(self.peer)
        return NotAllowed(self.peer, f"closed where its {self.expects.value} was due")

    def _status(self, frame: bytes) -> bytes | None:
        if frame[:1] != b"s":
            raise ProtocolViolation(self.peer, "no status message")
        status = frame[1:]
        if status in {b"ok", b"ok_simultaneous"} and not self._lent:
            return None
        if status.startswith(b"named:") and self._lent:
            (size,) = _NAMED.unpack_from(status, 6)
            self._own = status[8 : 8 + size].decode()
            self._creation = int.from_bytes(status[8 + size : 12 + size], "big")
            return None
        if status == b"alive":
            if not self._take_over:
                raise NameTaken(self.peer)
            # The peer has not noticed yet that our last connection is lost; this one replaces it.
            return b"strue"
        if status == b"nok":
            raise NameTaken(self.peer, "it is connecting to a node of our name itself")
        raise NotAllowed(self.peer, f"status {status[:32].decode('latin-1')}")

    def _challenged(self, frame: bytes) -> bytes:
        tag, theirs, challenge, _, size = _CHALLENGE.unpack_from(frame)
        name = frame[_CHALLENGE.size : _CHALLENGE.size + size].decode()
        if tag != ord("N") or len(name.encode()) != size:
            raise ProtocolViolation(self.peer, "no challenge message")
        if name != self.peer:
            raise WrongNode(self.peer, f"it calls itself {name}")
        if lacking := flags.missing(theirs):
            raise NotAllowed(self.peer, f"it lacks the protocol flags {lacking:#x}; OTP 24 is the oldest supported")
        return _REPLY.pack(ord("r"), self._challenge, digest(self._cookie, challenge))

    def _acknowledged(self, frame: bytes) -> None:
        if frame[:1] != b"a" or not _same(frame[1:], digest(self._cookie, self._challenge)):
            raise BadCookie(self.peer, "its own digest is wrong")
        self.agreed = Agreed(self._own, self._creation, self.peer)
