"""How the parts are put together: everything that one configuration makes, each part when it is first asked for."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from bridge.config.access import access
from bridge.config.consent import consent
from bridge.config.destinations import destinations, google_endpoint, location
from bridge.config.doubts import doubts
from bridge.config.errors import ConfigError, Problem
from bridge.config.files import fingerprint
from bridge.config.load import load
from bridge.config.roles import Role, refusals
from bridge.log import Line, is_journal, set_up_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bridge.config.access import Access
    from bridge.config.consent import Consent
    from bridge.config.load import Loaded
    from bridge.config.model import Settings
    from bridge.delivery.destination import Destination
    from bridge.delivery.sender import Sender
    from bridge.erlang.names import NodeName
    from bridge.erlang.node import Node
    from bridge.google.api import Api
    from bridge.google.credentials import Credentials
    from bridge.mongooseim.facts import ClusterFacts
    from bridge.state.state import State
    from bridge.state.status import StatusDocument

log = logging.getLogger(__name__)


@dataclass
class Installation:
    """One installation of the bridge, by its configuration file, the options of the command line and the environment.

    Its properties are read once; `reload` gives a new one. What only some commands need is imported where it is made:
    asyncio (30 ms), SQLite (8 ms) and httpx (90 ms) cost more than all else at start-up.
    """

    file: Path | None
    options: Mapping[str, object]
    environ: Mapping[str, str] = field(repr=False)
    role: Role = Role.BOTH

    @cached_property
    def loaded(self) -> Loaded:
        """The checked configuration, with the origin of each value.

        Raises:
            ConfigError: it cannot be used.
        """
        return load(self.file, self.environ, self.options)

    @property
    def settings(self) -> Settings:
        """The settings of `loaded`."""
        return self.loaded.settings

    @property
    def consent(self) -> Consent:
        """Whether to report, and why."""
        return consent(self.loaded, self.environ)

    @cached_property
    def access(self) -> Access:
        """How to reach the cluster.

        Raises:
            ConfigError: names, cookie or TLS files cannot be used.
        """
        return access(self.loaded, self.environ)

    @cached_property
    def targets(self) -> tuple[Destination, ...]:
        """For whom reports are queued: nobody, and they are in the JSON log only, when there is none. Without secrets.

        Raises:
            ConfigError: an endpoint cannot be used.
        """
        return self._destinations(secrets=False)

    @cached_property
    def destinations(self) -> tuple[Destination, ...]:
        """Where this process sends what is queued.

        Raises:
            ConfigError: a secret is missing, or an endpoint cannot be used.
        """
        return self._destinations(secrets=True) if self.role.delivers else ()

    def _destinations(self, *, secrets: bool) -> tuple[Destination, ...]:
        wanted = destinations(self.loaded, self.environ, secrets=secrets)
        if not wanted:
            return ()
        from bridge.delivery.batches import Location  # noqa: PLC0415 - see above
        from bridge.delivery.data_manager import ENDPOINT, DataManagerDestination  # noqa: PLC0415
        from bridge.delivery.errors import DestinationError  # noqa: PLC0415
        from bridge.delivery.ga4 import Ga4Destination  # noqa: PLC0415

        place = Location(*location(self.settings.bridge))
        made: list[Destination] = []
        problems: list[Problem] = []
        for one in wanted:
            try:
                if one.property_id:
                    endpoint = one.endpoint or ENDPOINT
                    made.append(DataManagerDestination(one.measurement_id, one.property_id, endpoint, place))
                else:
                    made.append(Ga4Destination(one.measurement_id, one.secret, one.endpoint, place))
            except DestinationError as error:
                problems.append(Problem(one.where, one.key, error.what, error.remedy))
        if problems:
            raise ConfigError(problems)
        return tuple(made)

    @property
    def configured(self) -> dict[str, str]:
        """Id and name of each destination, for `State.status`."""
        return {destination.id: destination.name for destination in self.targets}

    @property
    def collect_timeout(self) -> float:
        """Seconds for each node to answer."""
        return self.settings.bridge.collect_timeout / 1000

    @property
    def doubts(self) -> Iterator[Problem]:
        """What can be used, but is hardly meant."""
        return doubts(self.loaded, self.environ)

    def set_up_log(self) -> None:
        """Log as the configuration says, and what is doubtful in it."""
        journal = is_journal(self.environ.get("JOURNAL_STREAM"), 2)
        set_up_log(self.settings.bridge.log_level, self.settings.bridge.log_format, journal=journal)
        for doubt in self.doubts:
            log.warning(Line("setting_doubtful", key=doubt.key, problem=doubt.text, remedy=doubt.remedy))

    def node(
        self,
        *,
        named: bool | None = None,
        on_up: Callable[[str], None] | None = None,
        on_down: Callable[[str, str], None] | None = None,
    ) -> Node:
        """A hidden node that joins the cluster.

        Args:
            named: under the service's own name, else each peer lends one; None: where the command line gives one.
            on_up: called with the name of each node that it has connected to.
            on_down: called with the name of each node that it has lost, and the reason.
        """
        from bridge.erlang.node import Node  # noqa: PLC0415 - see above

        way = self.access
        name = str(way.own_name) if (way.named if named is None else named) else None
        return Node(name, way.cookie.secret, epmd_port=way.epmd_port, tls=way.tls, on_up=on_up, on_down=on_down)

    async def ask_cluster(self, silent: set[str] | None = None, *, named: bool | None = None) -> ClusterFacts:
        """Join the cluster, ask every node, leave.

        Args:
            silent: holds the names of the nodes that have not answered yet, while they are asked.
            named: as in `node`.

        Raises:
            NoNodeAnswered: not one node could be asked.
        """
        async with self.node(named=named) as node:
            return await self.ask(node, self.access.entries, silent)

    async def ask(self, node: Node, entries: Sequence[NodeName], silent: set[str] | None = None) -> ClusterFacts:
        """Ask every node of the cluster that entry nodes lead to.

        Args:
            node: our own, open.
            entries: where to enter.
            silent: as in `ask_cluster`.

        Raises:
            NoNodeAnswered: not one node could be asked.
        """
        from bridge.mongooseim.collect import collect  # noqa: PLC0415 - see above

        return await collect(
            node,
            entries,
            timeout=self.collect_timeout,
            own_name=str(self.access.own_name),
            also_known=self.settings.bridge.also_known,
            silent=silent,
        )

    def state(self, *, look: bool = False) -> State:
        """The state directory, bounded as the configuration says.

        Args:
            look: only look: nothing is created, changed or mended, and what is not there is empty.

        Raises:
            StateError: it cannot be used.
        """
        from bridge.state.queue import Bounds  # noqa: PLC0415 - see above
        from bridge.state.state import State  # noqa: PLC0415

        bridge = self.settings.bridge
        bounds = Bounds(bridge.queue_max_batches, bridge.queue_max_bytes, bridge.history_days, bridge.missing_days)
        return State.open(Path(bridge.state_dir), bounds=bounds, look=look)

    def document(self, state: State, configured: Mapping[str, str] | None = None) -> StatusDocument:
        """What `status --format json` prints, for everybody who is asked for it.

        Args:
            state: where it is read.
            configured: the destinations, in place of those of the configuration.

        Raises:
            StateError: the state file cannot be read.
        """
        from bridge.state.status import StatusDocument  # noqa: PLC0415 - see above

        known = self.configured if configured is None else configured
        status, agreed, allowed = state.status(1, known), state.agreed(), self.consent
        return StatusDocument(**asdict(status), reporting=allowed.given, reason=allowed.reason, agreed=agreed)

    @cached_property
    def ca_contents(self) -> int:
        """Differs when what `bridge.ca_file` holds does.

        Raises:
            ConfigError: it cannot be read.
        """
        return fingerprint("bridge.ca_file", Path(file)) if (file := self.settings.bridge.ca_file) else 0

    def sender(self) -> Sender:
        """What posts to the destinations, through the proxy and with the CAs of the configuration.

        Raises:
            ConfigError: the CA file cannot be read.
            DestinationError: the CA file, an endpoint or the proxy cannot be used.
        """
        from bridge.delivery.sender import Sender  # noqa: PLC0415 - see above

        _ = self.ca_contents  # as it is now, to be compared with what a reload finds
        bridge = self.settings.bridge
        sender = Sender(
            ca_file=Path(bridge.ca_file) if bridge.ca_file else None, proxy=bridge.proxy, environ=self.environ
        )
        for one in self.targets:  # without their secrets, which Google's own APIs do not need
            sender.check(one.peer)
        if any(one.kind == "data-manager" for one in bridge.destinations):
            sender.tokens = self._credentials(sender)
        return sender

    def google_api(self, sender: Sender, scope: str) -> Api:
        """Google's own APIs with the operator's credentials.

        Args:
            sender: what their requests go out by, as long as it is open.
            scope: what they are allowed.

        Raises:
            ConfigError: access tokens would travel unencrypted.
        """
        from bridge.google.api import Api  # noqa: PLC0415 - see above

        return Api(sender, self._credentials(sender), scope)

    def _credentials(self, sender: Sender) -> Credentials:
        from bridge.google.credentials import Credentials  # noqa: PLC0415 - see above

        file = self.settings.bridge.google.credentials_file
        return Credentials(sender, Path(file) if file else None, google_endpoint(self.loaded))

    def reload(self) -> Installation:
        """The configuration as it is now, under the same options and environment, read and checked whole.

        Raises:
            ConfigError: it cannot be used.
        """
        new = replace(self)
        new.check()
        return new

    def check(self) -> None:
        """Read all that the service needs in its role, before anything is opened.

        Raises:
            ConfigError: it cannot be used, or this process can read a secret of the other role.
        """
        if problems := tuple(refusals(self.role, self.loaded, self.environ)):
            raise ConfigError(problems)
        _ = self.access if self.role.collects else None, self.targets, self.destinations, self.ca_contents
