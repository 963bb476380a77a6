"""The version 6 handshake in both directions, as machines without I/O: frames in, frames out.

    initiator                       acceptor
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

from struct import Struct, error
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang import flags
from bridge.erlang.errors import BadCookie, ConnectError, NotAllowed, ProtocolViolation, Simultaneous, WrongNode

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
    peer_creation: int
    flags: int
    """What both sides can do."""


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


class Initiator:
    """Our side when we connect: `start` gives the first frame, `receive` the answer to each frame until `agreed`."""

    def __init__(self, peer: str, own: str, creation: int | None, cookie: Secret, challenge: int) -> None:
        """Prepare a handshake.

        Args:
            peer: the name of the node that is called.
            own: our name; with `creation` None only the host, and the peer lends a name for it.
            creation: our 32-bit creation, or None to be lent a name (NAME_ME).
            cookie: the shared secret.
            challenge: 32 random bits.
        """
        self.agreed: Agreed | None = None
        self.waits_for = "status"
        self._peer = peer
        self._own = own
        self._creation = creation or 0
        self._lent = creation is None
        self._cookie = cookie
        self._challenge = challenge
        self._met: tuple[str, int, int] | None = None

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
        try:
            if self.waits_for == "status":
                return self._status(frame)
            if self.waits_for == "challenge":
                return self._challenged(frame)
            self._acknowledged(frame)
        except (error, UnicodeDecodeError, IndexError) as broken:
            raise ProtocolViolation(self._peer, f"a broken {self.waits_for} message") from broken
        return None

    def closed(self) -> ConnectError:
        """What it means that the peer closed now."""
        if self.waits_for == "digest":
            return BadCookie(self._peer)
        return NotAllowed(self._peer, f"closed where its {self.waits_for} was due")

    def _status(self, frame: bytes) -> bytes | None:
        if frame[:1] != b"s":
            raise ProtocolViolation(self._peer, "no status message")
        status = frame[1:]
        self.waits_for = "challenge"
        if status in {b"ok", b"ok_simultaneous"} and not self._lent:
            return None
        if status.startswith(b"named:") and self._lent:
            (size,) = _NAMED.unpack_from(status, 6)
            self._own = status[8 : 8 + size].decode()
            self._creation = int.from_bytes(status[8 + size : 12 + size], "big")
            return None
        if status == b"alive":
            # The peer has not noticed yet that our last connection is gone; this one replaces it.
            return b"strue"
        if status == b"nok":
            raise Simultaneous(self._peer, "it is connecting to a node of our name itself")
        raise NotAllowed(self._peer, f"status {status[:32].decode('latin-1')}")

    def _challenged(self, frame: bytes) -> bytes:
        tag, theirs, challenge, creation, size = _CHALLENGE.unpack_from(frame)
        name = frame[_CHALLENGE.size : _CHALLENGE.size + size].decode()
        if tag != ord("N") or len(name.encode()) != size:
            raise ProtocolViolation(self._peer, "no challenge message")
        if name != self._peer:
            raise WrongNode(self._peer, f"it calls itself {name}")
        if lacking := flags.missing(theirs):
            raise NotAllowed(self._peer, f"it lacks the protocol flags {lacking:#x}; OTP 24 is the oldest supported")
        self._met = (name, creation, flags.complete(theirs) & flags.OURS)
        self.waits_for = "digest"
        return _REPLY.pack(ord("r"), self._challenge, digest(self._cookie, challenge))

    def _acknowledged(self, frame: bytes) -> None:
        if frame[:1] != b"a" or not _same(frame[1:], digest(self._cookie, self._challenge)):
            raise BadCookie(self._peer, "its own digest is wrong")
        assert self._met
        name, creation, agreed = self._met
        self.agreed = Agreed(self._own, self._creation, name, creation, agreed)


class Acceptor:
    """Our side when a node connects to us. Each `receive` gives the frames to send, until `agreed`."""

    def __init__(self, own: str, creation: int, cookie: Secret, challenge: int, status: Callable[[str], str]) -> None:
        """Prepare to be called.

        Args:
            own: our name.
            creation: our creation.
            cookie: the shared secret.
            challenge: 32 random bits.
            status: decides by the peer's name: ok, ok_simultaneous, nok, not_allowed or alive.
        """
        self.agreed: Agreed | None = None
        self.waits_for = "name"
        self._own = own
        self._creation = creation
        self._cookie = cookie
        self._challenge = challenge
        self._decide = status
        self._peer = ("", 0, 0)

    def receive(self, frame: bytes) -> list[bytes]:
        """Take the peer's next frame, give ours.

        Raises:
            ConnectError: the peer has another cookie, lacks a flag, or breaks the protocol.
        """
        try:
            if self.waits_for == "name":
                return self._named(frame)
            if self.waits_for == "alive":
                return self._alive(frame)
            if self.waits_for == "reply":
                return self._replied(frame)
        except (error, UnicodeDecodeError, IndexError) as broken:
            raise ProtocolViolation(self._peer[0] or "?", f"a broken {self.waits_for} message") from broken
        raise ProtocolViolation(self._peer[0], "it goes on after it was refused")

    def _named(self, frame: bytes) -> list[bytes]:
        tag, theirs, creation, size = _NAME.unpack_from(frame)
        name = frame[_NAME.size : _NAME.size + size].decode()
        if tag != ord("N") or len(name.encode()) != size:
            raise ProtocolViolation("?", "no name message of handshake version 6")
        self._peer = (name, creation, flags.complete(theirs) & flags.OURS)
        fit = "@" in name and name != self._own and not flags.missing(theirs)
        status = self._decide(name) if fit else "not_allowed"
        if status in {"ok", "ok_simultaneous"}:
            self.waits_for = "reply"
            return [b"s" + status.encode(), self._question()]
        if status == "alive":
            self.waits_for = "alive"
            return [b"salive"]
        self.waits_for = "nothing"
        return [b"s" + status.encode()]

    def _alive(self, frame: bytes) -> list[bytes]:
        if frame != b"strue":
            raise NotAllowed(self._peer[0], "it keeps its older connection")
        self.waits_for = "reply"
        return [self._question()]

    def _question(self) -> bytes:
        raw = self._own.encode()
        return _CHALLENGE.pack(ord("N"), flags.OURS, self._challenge, self._creation, len(raw)) + raw

    def _replied(self, frame: bytes) -> list[bytes]:
        tag, challenge, theirs = _REPLY.unpack(frame)
        if tag != ord("r") or not _same(theirs, digest(self._cookie, self._challenge)):
            raise BadCookie(self._peer[0])
        name, creation, agreed = self._peer
        self.agreed = Agreed(self._own, self._creation, name, creation, agreed)
        return [b"a" + digest(self._cookie, challenge)]
