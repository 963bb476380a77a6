"""Frames on their way out: the first goes at once, those of the same turn of the event loop go together.

A system call for each of a thousand requests would cost more than all else; to wait until the last is written would
leave the node idle meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import Final

PIECE: Final = 4096
"""Bytes that wait for others to be sent with: some thirty requests."""


class Outbox:
    """What goes out over a transport."""

    __slots__ = ("_loop", "_open", "_size", "_transport", "_waiting")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._waiting: list[bytes] = []
        self._size = 0
        self._open = False

    def put(self, data: bytes) -> None:
        """Send, in this turn of the event loop."""
        if not self._open:
            self._open = True
            self._loop.call_soon(self._close)
            self._transport.write(data)
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= PIECE:
            self._send()

    def _send(self) -> None:
        if self._waiting and not self._transport.is_closing():
            self._transport.write(b"".join(self._waiting))
        self._waiting.clear()
        self._size = 0

    def _close(self) -> None:
        self._send()
        self._open = False
