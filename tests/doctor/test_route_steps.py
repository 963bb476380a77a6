"""Each way in which a destination cannot be reached is recognised as itself, with real servers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import queue
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest
import trustme

from bridge.emulator.server import Emulator
from tests.doctor.conftest import CONFIGURATION, DELIVERY, examined
from tests.support.bridge import API_SECRET
from tests.support.recorder import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.bridge import Bridge
    from tests.support.emulator import RunningEmulator

PAST = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


@contextlib.contextmanager
def answering(answer: bytes, certificate: trustme.LeafCert | None = None) -> Iterator[str]:
    """A server that gives each connection's first request this answer, by TLS where it has a certificate; its host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate:
        certificate.configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def converse(near: socket.socket) -> None:
            near.settimeout(5)
            head = b""
            while b"\r\n\r\n" not in head and (data := near.recv(65536)):
                head += data
            near.sendall(answer)
            near.shutdown(socket.SHUT_WR)
            while near.recv(65536):
                pass

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = server.accept()
                    with near, contextlib.suppress(OSError):
                        if certificate:
                            near = context.wrap_socket(near, server_side=True)
                        with near:
                            converse(near)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.parametrize(
    ("endpoint", "proxy", "step", "words"),
    [
        ("http://127.0.0.1:1/mp/collect", "", "connection", ("cannot be connected to", "proxy")),
        ("https://no-such-host.invalid/mp/collect", "", "endpoint host", ("no-such-host.invalid", "DNS")),
        ("https://127.0.0.1:2/mp", "http://127.0.0.1:1", "connection", ("through proxy 127.0.0.1:1",)),
        ("https://127.0.0.1:2/mp", "http://no.invalid:3128", "endpoint host", ("through proxy no.invalid",)),
    ],
)
def test_a_host_without_an_address_and_a_port_that_refuses(
    reporting_to: Callable[..., Bridge], endpoint: str, proxy: str, step: str, words: tuple[str, ...]
) -> None:
    found = examined(reporting_to(endpoint), HTTPS_PROXY=proxy)
    found.fails_at(step, *words, code=DELIVERY)
    assert found.of("validator")["state"] == "skipped"


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return ca, path


def test_a_certificate_of_an_unknown_ca_and_with_its_ca_file(
    reporting_to: Callable[..., Bridge], authority: tuple[trustme.CA, Path]
) -> None:
    ca, path = authority
    with answering(NO_CONTENT, ca.issue_cert("127.0.0.1")) as host:
        found = examined(reporting_to(f"https://{host}/mp/collect"))
        found.fails_at("endpoint TLS", "unknown CA", "bridge.ca_file", code=DELIVERY)
        assert found.of("connection")["state"] == "ok"
        trusting = examined(reporting_to(f"https://{host}/mp/collect", f'ca_file = "{path}"'))
    assert trusting.code == 0
    assert trusting.of("endpoint TLS")["state"] == trusting.of("answer")["state"] == "ok"


@pytest.mark.parametrize(
    ("name", "until", "words"),
    [("127.0.0.1", PAST, ("expired", "clock")), ("relay.example", None, ("another",))],
)
def test_a_certificate_that_is_expired_or_of_another_host(
    reporting_to: Callable[..., Bridge],
    authority: tuple[trustme.CA, Path],
    name: str,
    until: datetime.datetime | None,
    words: tuple[str, ...],
) -> None:
    ca, path = authority
    with answering(NO_CONTENT, ca.issue_cert(name, not_before=until, not_after=until)) as host:
        found = examined(reporting_to(f"https://{host}/mp/collect", f'ca_file = "{path}"'))
    found.fails_at("endpoint TLS", *words, code=DELIVERY)


def test_an_https_endpoint_that_speaks_http_only(
    reporting_to: Callable[..., Bridge], emulator: RunningEmulator
) -> None:
    found = examined(reporting_to(emulator.url.replace("http:", "https:")))
    found.fails_at("endpoint TLS", "does not speak TLS", "https", code=DELIVERY)


def test_a_ca_file_and_a_proxy_that_cannot_be_used(reporting_to: Callable[..., Bridge], tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for setting, key in ((f'ca_file = "{tmp_path}/ca.pem"', "bridge.ca_file"), ('proxy = "passw0rd"', "bridge.proxy")):
        found = examined(reporting_to("http://127.0.0.1:1/mp/collect", setting))
        found.fails_at("destinations", key, code=CONFIGURATION)
        assert "passw0rd" not in str(found.results)


def test_http_over_a_network_is_a_warning(reporting_to: Callable[..., Bridge], emulator: RunningEmulator) -> None:
    beyond = reporting_to(emulator.url.replace("127.0.0.1", "0.0.0.0"))
    examined(beyond).fails_at("destinations", "unencrypted", "allow_plain_http", code=CONFIGURATION)
    beyond.config.write_text(f"{beyond.config.read_text()}allow_plain_http = true\n")
    examined(beyond).warns_at("endpoint TLS", "unencrypted", "https")


# what answers


@pytest.mark.parametrize(
    ("endpoint", "answer", "words"),
    [
        ("https://127.0.0.1:1/mp", b"HTTP/1.1 403 Forbidden\r\n", ("403 Forbidden", "password and rules")),
        ("http://127.0.0.1:1/mp", b"HTTP/1.1 407 Proxy Authentication Required\r\n", ("407",)),
    ],
)
def test_a_proxy_that_refuses(
    reporting_to: Callable[..., Bridge], endpoint: str, answer: bytes, words: tuple[str, ...]
) -> None:
    with answering(answer + b"Content-Length: 0\r\n\r\n") as proxy:
        found = examined(reporting_to(endpoint, f'proxy = "http://user:passw0rd@{proxy}"'))
    found.fails_at("proxy", *words, code=DELIVERY)
    assert "passw0rd" not in str(found.results)
    assert "proxy" in found.of("endpoint host")["found"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [(b"", ("closed the connection", "firewall")), (b"220 mail.example ESMTP\r\n\r\n", ("not HTTP",))],
)
def test_an_endpoint_that_does_not_speak_http(
    reporting_to: Callable[..., Bridge], answer: bytes, words: tuple[str, ...]
) -> None:
    with answering(answer) as host:
        found = examined(reporting_to(f"http://{host}/mp/collect"))
    found.fails_at("answer", *words, code=DELIVERY)


def test_a_clock_that_is_wrong(reporting_to: Callable[..., Bridge]) -> None:
    dated = b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with answering(dated) as host:
        found = examined(reporting_to(f"http://{host}/relay"))
    found.warns_at("clock", "ahead of", "NTP")


def test_a_relay_without_a_validator_is_skipped_with_the_reason(
    reporting_to: Callable[..., Bridge], emulator: RunningEmulator
) -> None:
    with recording(int(emulator.base_url.rpartition(":")[2])) as recorder:
        found = examined(reporting_to(f"http://127.0.0.1:{recorder.port}/relay"))
    assert found.code == 0
    assert recorder.sent.startswith(b"HEAD / HTTP/1.1\r\n")
    assert recorder.sent.count(b"HTTP/1.1\r\n") == 1, "nothing else was asked"
    assert API_SECRET.encode() not in recorder.sent
    assert found.of("validator")["state"] == "skipped"
    assert "no validator" in found.of("validator")["found"]
    with answering(NO_CONTENT) as host:
        found = examined(reporting_to(f"http://{host}/mp/collect"))
    assert found.code == 0
    assert "no validation" in found.of("validator")["found"]


@contextlib.contextmanager
def emulator_ahead(seconds: float) -> Iterator[str]:
    """The emulator with a clock that is ahead of ours; gives its URL."""
    started: queue.SimpleQueue[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = queue.SimpleQueue()

    async def serve() -> None:
        stop = asyncio.Event()
        async with Emulator(clock=lambda: time.time() + seconds) as emulator:
            started.put((emulator.url, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    url, loop, stop = started.get(timeout=10)
    yield url
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)


def test_events_that_the_emulators_validator_would_not_take(reporting_to: Callable[..., Bridge]) -> None:
    """Seen from five days ahead all of them are too old."""
    with emulator_ahead(5 * 86_400) as url:
        found = examined(reporting_to(url))
    found.fails_at("validator", "GA4 would drop events", "timestamp", "validate", code=DELIVERY)
