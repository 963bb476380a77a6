"""The listener itself: `/healthz`, `/readyz`, `/metrics`, `/status.json`, `/report.json`, and the page at `/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from bridge import web_page
from bridge.config.destinations import loopback
from bridge.errors import BridgeError, ExitCode
from bridge.health.preview import Preview
from bridge.health.view import HISTORY, Views
from bridge.http_server import HttpResponse, Limits, ListenError, Server
from bridge.report.json_log import as_json
from bridge.state.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

    from bridge.app import Installation
    from bridge.http_server import CutOff, Handler, HttpRequest
    from bridge.report.model import Report
    from bridge.state.state import State
    from bridge.state.status import Status

PATHS: Final = ("/", "/page.json", "/status.json", "/report.json", "/healthz", "/readyz", "/metrics")
"""What GET asks for; `/page.json` is for the page alone."""
PREVIEW: Final = "/preview"
"""What POST asks for."""
_LIMITS: Final = Limits(body=4_096, connections=64)
_NO_METRICS: Final = (
    "no metrics: prometheus_client is not installed beside the bridge; "
    "run `pip install 'mongooseim-bridge[metrics]'` in its environment and start it again\n"
)


class HealthError(BridgeError):
    """The health listener cannot listen where the configuration says."""

    exit_code = ExitCode.LISTEN


class HealthListener:
    """The health listener of a running service, for as long as it is entered."""

    def __init__(
        self,
        installation: Callable[[], Installation],
        state: State,
        stuck: Callable[[], str | None],
        preview: Callable[[], Awaitable[Report]] | None = None,
    ) -> None:
        """Prepare the listener.

        Args:
            installation: gives the configuration in force, with a port in `[bridge.health]`.
            state: the open state directory.
            stuck: says why the service does not go on; None while it does.
            preview: gives the report as it would be made now; None where there are no nodes to ask.
        """
        section = installation().settings.bridge.health
        self.host, self.port = section.host, section.port or 0
        """Where to listen; 0 is any free port."""
        self._installation = installation
        self._state = state
        self._stuck = stuck
        self._views = Views()
        self.address = ""
        """The URL of the page, once it listens."""
        self._local = True
        handlers = (self._page, self._view, self._document, self._report, self._healthz, self._readyz, self._metrics)
        routes = {("GET", path): self._guarded(handler) for path, handler in zip(PATHS, handlers, strict=True)}
        self._preview = Preview(preview, state, installation().collect_timeout) if preview else None
        if self._preview:
            routes["POST", PREVIEW] = self._guarded(self._preview.answer)
        self._server = Server(routes, limits=_LIMITS)

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            HealthError: the port is taken or the address does not belong to this machine.
        """
        try:
            self.address = await self._server.start(self.host, self.port)
        except ListenError as error:
            raise HealthError(f"the health listener (bridge.health) {error.what}", error.remedy) from error
        self._local = loopback(self.address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._preview:
            await self._preview.close()
        await self._server.close()

    def _guarded(self, handler: Handler) -> Handler:
        """The handler, but not for pages of elsewhere that ask under a name of theirs which leads to this machine."""

        async def guarded(request: HttpRequest) -> HttpResponse | CutOff:
            host = request.headers.get("host")  # programs may leave it out, browsers never do
            if self._local and host is not None and not loopback(f"http://{host}"):
                return HttpResponse(403, b"this listener is for its own machine; ask for it as localhost\n")
            try:
                return await handler(request)
            except StateError as error:
                return HttpResponse(503, f"{error}\n".encode())

        return guarded

    async def _page(self, _: HttpRequest) -> HttpResponse:
        return web_page.response("bridge.health", self._preview.token if self._preview else "")

    def _status(self) -> Status:
        return self._state.status(HISTORY, self._installation().configured)

    async def _view(self, request: HttpRequest) -> HttpResponse:
        known = parse_qs(request.query).get("report", [""])[0]
        usable = known.isascii() and known.isdigit() and len(known) < 18
        seconds = self._preview.deadline if self._preview else None
        view = await self._views.as_json(self._status(), self._state, int(known) if usable else None, seconds)
        return HttpResponse(200, view, "application/json")

    async def _document(self, _: HttpRequest) -> HttpResponse:
        return HttpResponse(200, self._installation().document(self._state).to_json(), "application/json")

    async def _report(self, _: HttpRequest) -> HttpResponse:
        last = self._status().last_published
        stored = self._state.report(last.id) if last else None
        if stored is None:
            return HttpResponse(404, b"no report was made yet\n")
        return HttpResponse(200, as_json(stored[1]).encode(), "application/json")

    async def _healthz(self, _: HttpRequest) -> HttpResponse:
        return _checked(self._stuck(), "alive")

    async def _readyz(self, _: HttpRequest) -> HttpResponse:
        return _checked(self._status().not_ready, "ready")

    async def _metrics(self, request: HttpRequest) -> HttpResponse:
        try:
            from bridge.health.metrics import exposition  # noqa: PLC0415 - an extra, and costly
        except ImportError:
            return HttpResponse(501, _NO_METRICS.encode())
        try:
            status = self._status()
        except StateError:
            status = None
        body, content_type = exposition(status, request.headers.get("accept", ""))
        return HttpResponse(200, body, content_type)


def _checked(reason: str | None, well: str) -> HttpResponse:
    return HttpResponse(503, f"{reason}\n".encode()) if reason else HttpResponse(200, f"{well}\n".encode())
