"""A program on a terminal of its own, typed at and read as a person would."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SECONDS = 30.0


class Terminal:
    """The near end of a pseudo terminal."""

    def __init__(self, handle: int, process: subprocess.Popen[bytes]) -> None:
        self._handle = handle
        self._process = process
        self._read = b""

    def write(self, text: str) -> None:
        """Type a text; what is printed meanwhile is kept, so that neither side waits for the other."""
        data = text.encode()
        deadline = time.monotonic() + SECONDS
        while data:
            assert time.monotonic() < deadline, "the program does not read"
            readable, writable, _ = select.select([self._handle], [self._handle], [], 1)
            if readable:
                self._read += os.read(self._handle, 65536)
            if writable:
                data = data[os.write(self._handle, data[:512]) :]

    def read_until(self, expected: str) -> str:
        """What was printed up to and with `expected`."""
        deadline = time.monotonic() + SECONDS
        while expected.encode() not in self._read:
            assert time.monotonic() < deadline, f"no {expected!r} in {self._read[-2000:]!r}"
            if select.select([self._handle], [], [], 0.2)[0]:
                self._read += os.read(self._handle, 65536)
        printed, found, self._read = self._read.partition(expected.encode())
        return (printed + found).decode(errors="replace")

    def read_to_the_end(self) -> tuple[str, int]:
        """All that was printed since, and the exit code."""
        deadline = time.monotonic() + SECONDS
        while True:
            assert time.monotonic() < deadline, f"it goes on after {self._read[-2000:]!r}"
            try:
                if select.select([self._handle], [], [], 0.2)[0]:
                    self._read += os.read(self._handle, 65536)
            except OSError:  # the far end is closed
                printed, self._read = self._read.decode(errors="replace"), b""
                return printed, self._process.wait(SECONDS)


@contextlib.contextmanager
def on_a_terminal(
    command: Sequence[str], environ: Mapping[str, str], *, columns: int = 80, stdout: int | None = None
) -> Iterator[Terminal]:
    """Run a program on a pseudo terminal and kill it at the end.

    Args:
        command: program and arguments.
        environ: in addition to the environment of the tests.
        columns: width of the terminal.
        stdout: where its results go, if not to the terminal.
    """
    near, far = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    termios.tcsetwinsize(far, (24, columns))
    process = subprocess.Popen(
        command,
        stdin=far,
        stdout=far if stdout is None else stdout,
        stderr=far,
        env={**inherited, **environ},
        start_new_session=True,
    )
    os.close(far)
    try:
        yield Terminal(near, process)
    finally:
        process.kill()
        process.wait()
        os.close(near)
