"""A cluster of stub nodes: real BEAMs under a real EPMD that answer as MongooseIM nodes do.

    with StubCluster("6.5") as cluster:
        cluster.nodes[0].eval("stub:advance(xmppMessageSent, 5)")
        run(["mongooseim-bridge", "report"], env={**os.environ, **cluster.environ})

What the nodes answer is in `scenarios/`, one readable file each; `scenarios/default.terms` says how to add one, and
`src/stub.erl` what can be changed while they run.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from erlang_stubs.beam import Beam, Epmd, Runtime, StubError, eventually, write_cookie
from erlang_stubs.build import HERE, beams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

SECRET_MARKER: Final = "s3cr3t-"  # noqa: S105 - this is what passwords in the scenarios start with
"""Every password of every scenario holds this; it must cross no connection."""

CUSTOM_MARKER: Final = "acme"
"""Names that are the operator's own business hold this; it must be in no event."""

ERLANG_ON_PATH: Final = Runtime()
COOKIE: Final = "stub-cookie-of-no-other-cluster"
_SCENARIOS: Final = HERE / "scenarios"


def scenarios() -> Sequence[str]:
    """The names of all scenarios."""
    return sorted(path.stem for path in _SCENARIOS.glob("*.terms"))


class StubCluster:
    """Nodes `mongooseim1@localhost`, `mongooseim2@localhost`, … that see each other, under an EPMD of their own."""

    def __init__(
        self,
        scenario: str = "default",
        size: int = 2,
        *,
        runtime: Runtime = ERLANG_ON_PATH,
        directory: Path | None = None,
        args: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare a cluster; entering it as a context starts the nodes.

        Args:
            scenario: a name out of `scenarios()`.
            size: how many nodes.
            runtime: which Erlang the nodes run on; the stubs are compiled by the one on the PATH.
            directory: where the cookie and the nodes' home go; a temporary one unless given.
            args: further arguments of `erl`, as `-kernel net_ticktime 8`.
            environ: further variables of the nodes.

        Raises:
            StubError: there is no such scenario.
        """
        self._scenario = _SCENARIOS / f"{scenario}.terms"
        if not self._scenario.is_file():
            raise StubError(f"no scenario {scenario!r}; there are: {', '.join(scenarios())}")
        self._size = size
        self._runtime = runtime
        self._directory = directory
        self._args = args
        self._node_environ = environ or {}
        self._epmd = Epmd(runtime=runtime)
        self._stack = contextlib.ExitStack()
        self._home = Path()
        self._beams = Path()
        self._indices = itertools.count(1)
        self.nodes: list[Beam] = []
        self.cookie_file = Path()
        """Mode 0400."""

    @property
    def epmd_port(self) -> int:
        """The port of the cluster's EPMD."""
        return self._epmd.port

    @property
    def epmd(self) -> Epmd:
        """The cluster's EPMD, to stop and start."""
        return self._epmd

    @property
    def entry(self) -> str:
        """The name of the first node."""
        return self.nodes[0].name

    @property
    def environ(self) -> dict[str, str]:
        """What a bridge process needs to find the cluster and be let in."""
        return {
            "ERL_EPMD_PORT": str(self.epmd_port),
            "MONGOOSEIM_BRIDGE_COOKIE_FILE": str(self.cookie_file),
            "MONGOOSEIM_BRIDGE_NODES": self.entry,
        }

    def start(self) -> None:
        """Start EPMD and all nodes at the same time, and wait until they see each other.

        Raises:
            StubError: something did not start; nothing is left running.
        """
        try:
            self._beams = beams()
            self._home = self._directory or Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            self.cookie_file = write_cookie(self._home, COOKIE)
            self._stack.enter_context(self._epmd)
            self.nodes = [self._node() for _ in range(self._size)]
            with ThreadPoolExecutor(len(self.nodes)) as pool:
                list(pool.map(self._stack.enter_context, self.nodes))
            self.join()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill the nodes and EPMD and remove the temporary directory."""
        self._stack.close()

    def add_node(self) -> Beam:
        """Start one more node, under a name that none has had, and let it join."""
        node = self._node()
        self._stack.enter_context(node)
        self.nodes.append(node)
        self.join()
        return node

    def join(self) -> None:
        """Let all nodes see each other, as after a restart of one.

        Raises:
            StubError: they do not.
        """
        names = [node.name for node in self.nodes]
        others = ", ".join(f"'{name}'" for name in names)
        for node in self.nodes[1:]:
            node.eval(f"[net_adm:ping(N) || N <- [{others}], N =/= node()]")
        expected = f"{len(names) - 1}"
        eventually(
            f"{', '.join(names)} see each other",
            lambda: all(node.eval("length(nodes())") == expected for node in self.nodes),
        )

    def _node(self) -> Beam:
        index = next(self._indices)
        return Beam(
            f"mongooseim{index}@localhost",
            self._home,
            self.epmd_port,
            args=[
                *("-start_epmd", "false", "-pa", str(self._beams), *self._args),
                *("-run", "stub", "boot", str(self._scenario), str(index)),
            ],
            environ=self._node_environ,
            runtime=self._runtime,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
