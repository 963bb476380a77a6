"""What systemd is told, and how often it wants a sign of life.

Source: sd_notify(3), sd_watchdog_enabled(3); a datagram of assignments to the socket that $NOTIFY_SOCKET names.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Notifier:
    """Tells the service manager; without one it tells nobody."""

    def __init__(self, environ: Mapping[str, str], pid: int | None = None) -> None:
        """Take the socket and the watchdog from the environment.

        Args:
            environ: the environment.
            pid: our process, the present one by default; a watchdog may be meant for another.
        """
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog = _watchdog(environ, os.getpid() if pid is None else pid)
        """Seconds within which systemd wants a sign of life; None where it wants none."""

    def ready(self, status: str) -> None:
        """The service is up, or has taken its new configuration."""
        self.tell("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self.tell(f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` ends it."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The service is about to end."""
        self.tell("STOPPING=1", "STATUS=stopping")

    async def watch(self, stuck: Callable[[], str | None]) -> None:
        """Give signs of life, as often as systemd wants them, for as long as nothing is stuck."""
        while self.watchdog:
            if stuck() is None:
                self.tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog / 2)

    def tell(self, *assignments: str) -> None:
        """Send assignments; a manager that does not listen is no reason to fail."""
        if self._address is None:
            return
        message = "\n".join(assignment.replace("\n", " ") for assignment in assignments)
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as client:
            client.setblocking(False)
            client.sendto(message.encode(), self._address)


def _address(name: str) -> str | None:
    """A path, or an abstract name, which begins with an @ for people and with a zero byte for the kernel."""
    if name.startswith("/"):
        return name
    return f"\0{name[1:]}" if name.startswith("@") and len(name) > 1 else None


def _watchdog(environ: Mapping[str, str], pid: int) -> float | None:
    text, owner = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not text.isdigit() or int(text) == 0 or (owner and owner != str(pid)):
        return None
    return int(text) / 1e6
