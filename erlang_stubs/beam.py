"""Real Erlang nodes under a real EPMD, started and stopped from Python, on ports and with a cookie of their own.

A node reads expressions from its standard input and prints what they give, so that a test can change what is in it
without the code under test; it ends with its input, so none outlives the program that started it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

START_DEADLINE: Final = 20.0
ANSWER_DEADLINE: Final = 20.0
_READY: Final = "=> ready"

_READ_EVALUATE_PRINT: Final = """
    Loop = fun(Again) ->
        case io:get_line("") of
            Line when is_list(Line) ->
                Answer = try
                    {ok, Tokens, _} = erl_scan:string(Line),
                    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
                    {value, Value, _} = erl_eval:exprs(Expressions, []),
                    {ok, Value}
                catch Class:Reason -> {Class, Reason}
                end,
                io:format("=> ~0tp~n", [Answer]),
                Again(Again);
            _ -> erlang:halt(0, [{flush, false}])
        end
    end,
    io:format("=> ready~n"),
    Loop(Loop).
"""


class StubError(Exception):
    """A stub node did not do what it was asked to."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """An Erlang/OTP installation: its command and the variables that it needs."""

    erl: str = "erl"
    epmd: str = "epmd"
    environ: Mapping[str, str] = field(default_factory=dict)


def free_port() -> int:
    """A TCP port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(what: str, holds: Callable[[], bool], *, seconds: float = START_DEADLINE) -> None:
    """Poll until something holds.

    Raises:
        StubError: it did not within the deadline; `what` says what.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise StubError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


class Epmd:
    """An EPMD on a port of its own. It can be stopped and started again, as in a real restart."""

    def __init__(self, *, port: int | None = None, runtime: Runtime = Runtime()) -> None:
        self.port = port or free_port()
        self._runtime = runtime
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [self._runtime.epmd, "-port", str(self.port), "-address", "127.0.0.1"]
        environ = {**os.environ, **self._runtime.environ}
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(f"an EPMD that answers on port {self.port}", lambda: _listens(self.port))

    def stop(self) -> None:
        """Kill it; nodes that were registered with it run on unregistered."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def write_cookie(home: Path, cookie: str) -> Path:
    """Put a cookie where Erlang looks for it below `home`, readable by nobody else; returns the file."""
    path = home / ".erlang.cookie"
    home.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(cookie, encoding="ascii")
    path.chmod(0o400)
    return path


class Beam:
    """One `erl` process with distribution. The cookie is read from `home`, so that it shows in no process list."""

    def __init__(
        self,
        name: str,
        home: Path,
        epmd_port: int,
        *,
        args: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        runtime: Runtime = Runtime(),
        long: bool = False,
    ) -> None:
        """Prepare a node.

        Args:
            name: `name@host`.
            home: HOME of the process, with `.erlang.cookie` (see `write_cookie`).
            epmd_port: the port of the EPMD to register with.
            args: further arguments of `erl`, as `-pa DIR` or `-kernel net_ticktime 8`.
            environ: further variables.
            runtime: which Erlang.
            long: whether the name is a long one (`-name`).
        """
        self.name = name
        self._command = [runtime.erl, "-noshell", "-name" if long else "-sname", name, *args]
        self._command += ["-eval", " ".join(_READ_EVALUATE_PRINT.split())]
        self._environ = {
            **os.environ,
            **runtime.environ,
            "HOME": str(home),
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_CRASH_DUMP_SECONDS": "0",
            **(environ or {}),
        }
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """The process of the operating system."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start the node and wait until it is registered and evaluates.

        Raises:
            StubError: it did not start; the message has what it printed.
        """
        self._lines = queue.SimpleQueue()
        self._process = subprocess.Popen(
            self._command,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True).start()
        printed = self._until(lambda line: line == _READY, START_DEADLINE)
        if printed is None or printed[-1] != _READY:
            self.kill()
            raise StubError(f"{self.name} did not start: {' '.join(printed or ['no output'])}")

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                lines.put(line.rstrip("\n"))
        lines.put(None)

    def _until(self, wanted: Callable[[str], bool], seconds: float) -> list[str] | None:
        printed: list[str] = []
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if line is None:
                return [*printed, "(it ended)"]
            printed.append(line)
            if wanted(line):
                return printed

    def eval(self, expressions: str) -> str:
        """Evaluate Erlang expressions in the node and give the value of the last one, as `~0tp` prints it.

        Raises:
            StubError: the expressions fail, or the node does not answer.
        """
        assert self._process
        assert self._process.stdin
        with self._lock:
            line = " ".join(expressions.split()).rstrip(".") + ".\n"
            self._process.stdin.write(line)
            self._process.stdin.flush()
            printed = self._until(lambda line: line.startswith("=> "), ANSWER_DEADLINE)
        if not printed or not printed[-1].startswith("=> {ok,"):
            raise StubError(f"{self.name}: {expressions}: {printed[-1] if printed else 'no answer'}")
        return printed[-1].removeprefix("=> {ok,").removesuffix("}")

    def kill(self) -> None:
        """Kill the node at once, as a power cut does."""
        if self._process:
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(OSError):
                assert self._process.stdin
                self._process.stdin.close()
            self._process = None

    def pause(self) -> None:
        """Stop the process (SIGSTOP): its sockets stay open, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused node go on."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Kill and start: the same name in a new incarnation."""
        self.kill()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
