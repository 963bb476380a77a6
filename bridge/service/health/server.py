"""The listener itself: `/healthz`, `/readyz`, `/metrics`, `/report.json`, and the page at `/`."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from bridge import web_page
from bridge.delivery import records
from bridge.delivery.errors import StoreError
from bridge.errors import BridgeError, ExitCode
from bridge.http_server import Limits, ListenError, Response, Server
from bridge.report.json_log import as_json
from bridge.service.health.account import HISTORY, Accounts, published
from bridge.service.health.checks import not_alive, not_ready

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from bridge.config import model
    from bridge.delivery.store import Store
    from bridge.http_server import Handler, Request
    from bridge.service.state import ServiceState

_LIMITS: Final = Limits(body=4_096, connections=64)
_NO_METRICS: Final = (
    "no metrics: prometheus_client is not installed beside the bridge; "
    "run `pip install 'mongooseim-bridge[metrics]'` in its environment and start it again\n"
)


class HealthError(BridgeError):
    """The health listener cannot listen where the configuration says."""

    exit_code = ExitCode.LISTEN


class Health:
    """The health listener of a running service, for as long as it is entered."""

    def __init__(self, section: model.Health, state: ServiceState, store: Store) -> None:
        """Prepare the listener.

        Args:
            section: `[bridge.health]`, with a port.
            state: of the service, which goes on writing it.
            store: the open state directory.
        """
        self._section = section
        self._state = state
        self._store = store
        self._accounts = Accounts(state, store)
        self._address = ("", 0)
        self._local = True
        handlers: dict[str, Handler] = {
            "/": self._page,
            "/account.json": self._account,
            "/report.json": self._report,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
        }
        routes = {("GET", path): self._guarded(handler) for path, handler in handlers.items()}
        self._server = Server(routes, limits=_LIMITS)

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            HealthError: the port is taken or the address is none of this machine.
        """
        section = self._section
        try:
            self._address = await self._server.start(section.host, section.port or 0)
        except ListenError as error:
            raise HealthError(f"the health listener (bridge.health) {error}") from error
        self._local = ipaddress.ip_address(self._address[0]).is_loopback
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.close()

    @property
    def address(self) -> str:
        """The URL of the page."""
        host, port = self._address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def _guarded(self, handler: Handler) -> Handler:
        """The handler, but not for pages of elsewhere that ask under a name of theirs which leads to this machine."""

        async def guarded(request: Request) -> Response:
            host = request.headers.get("host")  # programs may leave it out, browsers never do
            if self._local and host is not None and not _is_local(host):
                return Response(403, b"this listener is for its own machine; ask for it as localhost\n")
            try:
                return await handler(request)
            except StoreError as error:
                return Response(503, f"{error}\n".encode())

        return guarded

    async def _page(self, _: Request) -> Response:
        return web_page.response("bridge.service.health")

    async def _account(self, request: Request) -> Response:
        known = parse_qs(request.query).get("report", [""])[0]
        usable = known.isascii() and known.isdigit() and len(known) < 18
        return Response(200, self._accounts.as_json(int(known) if usable else None), "application/json")

    async def _report(self, _: Request) -> Response:
        last = published(records.reports(self._store, HISTORY))
        found = records.report(self._store, last.id) if last else None
        if found is None:
            return Response(404, b"no report was made yet\n")
        return Response(200, as_json(found[1]).encode(), "application/json")

    async def _healthz(self, _: Request) -> Response:
        return _checked(not_alive(self._state, asyncio.get_running_loop().time()), "alive")

    async def _readyz(self, _: Request) -> Response:
        return _checked(not_ready(self._state, self._store.clock.wall()), "ready")

    async def _metrics(self, request: Request) -> Response:
        try:
            from bridge.service.health.metrics import Metrics  # noqa: PLC0415 - an extra, and costly
        except ImportError:
            return Response(501, _NO_METRICS.encode())
        body, content_type = Metrics(self._state, self._store).exposition(request.headers.get("accept", ""))
        return Response(200, body, content_type)


def _checked(reason: str | None, well: str) -> Response:
    return Response(503, f"{reason}\n".encode()) if reason else Response(200, f"{well}\n".encode())


def _is_local(host: str) -> bool:
    """Whether a Host header names this machine: by localhost, or by a loopback address."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
