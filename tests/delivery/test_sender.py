"""Every way in which an exchange can fail is told by its cause and remedy, and says whether it may have counted."""

import asyncio
import datetime
import io
import ipaddress
import ssl
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bridge.delivery import errors
from bridge.delivery.destination import Request
from bridge.delivery.failures import failure
from bridge.delivery.proxies import proxy_for
from bridge.delivery.sender import Sender
from bridge.secret import Secret
from tests.delivery.support import SECRET, Handler, TcpServer, answering, destination, hanging, tcp_server, unused_port

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def request(url: str, body: bytes = b"{}") -> Request:
    return destination(url).request(body, 0)


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    async with Sender() as opened:
        yield opened


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[trustme.CA, Path]]:
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return authority, path


def server_side(authority: trustme.CA, host: str = "127.0.0.1", **options: datetime.datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, **options).configure_cert(context)
    return context


def every(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for below in kind.__subclasses__():
        yield from every(below)


def test_every_exception_of_httpx_is_told_as_one_of_ours_without_its_text() -> None:
    kinds = set(every(httpx.TransportError)) | {OSError, ConnectionResetError}
    assert len(kinds) > 15
    for kind in kinds:
        told = failure(kind(f"https://host/?api_secret={SECRET}"), "https://host", sent=True)
        if kind is not httpx.ProxyError:
            assert SECRET not in str(told)
        assert "https://host " in str(told)


async def test_an_answer_has_status_headers_and_body(sender: Sender) -> None:
    async with tcp_server(answering(b"HTTP/1.1 200 OK\r\nX-Some: Thing\r\nContent-Length: 2\r\n\r\n{}")) as server:
        answer = await sender.send(request(server.url, b'{"events":[]}'), 5)
    assert (answer.status, answer.headers["x-some"], answer.body) == (200, "Thing", b"{}")
    (got,) = server.requests
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.splitlines()[0] == f"POST /mp/collect?measurement_id=G-TEST1&api_secret={SECRET} HTTP/1.1".encode()
    assert f"host: 127.0.0.1:{server.port}".encode() in head.lower().splitlines()
    assert b"content-type: application/json" in head.lower()
    assert b"cookie" not in head.lower()
    assert body == b'{"events":[]}'


async def test_connections_are_used_again(sender: Sender) -> None:
    async def handle(server: TcpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.read_request(reader)
            writer.write(OK)

    async with tcp_server(handle) as server:
        for _ in range(5):
            assert (await sender.send(request(server.url), 5)).status == 204
        assert (len(server.requests), server.connections) == (5, 1)
        await sender.__aexit__(None, None, None)


async def test_redirects_are_answers_and_not_followed(sender: Sender) -> None:
    async with tcp_server(answering(OK)) as other:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
        async with tcp_server(answering(moved)) as server:
            assert (await sender.send(request(server.url), 5)).status == 307
        assert other.connections == 0


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1/x", r"cannot be connected to: connection refused.*firewall"),
        ("http://nowhere.invalid/x", r"http://nowhere\.invalid does not resolve.*DNS"),
    ],
)
async def test_who_is_not_there_cannot_have_counted(sender: Sender, url: str, words: str) -> None:
    with pytest.raises(errors.SendError, match=words) as caught:
        await sender.send(request(url), 5)
    assert not caught.value.ambiguous


async def dribbling(server: TcpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Wait: a bit\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silent(server: TcpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def resetting(server: TcpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(100)
    writer.transport.abort()


def without_tls(answer: bytes) -> Handler:
    async def handle(server: TcpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        await writer.drain()

    return handle


@pytest.mark.parametrize(
    ("handle", "scheme", "seconds", "words", "ambiguous"),
    [
        (hanging, "http", 0.5, r"did not answer in time: 0\.5 s", True),
        (dribbling, "http", 0.5, "did not answer in time", True),
        (silent, "https", 0.5, "did not accept a connection in time", False),
        *(
            (answering(part), "http", 5, "closed the connection before it answered", True)
            for part in (b"", b"HTTP/1.1 20", b"HTTP/1.1 204 No Content\r\nDate: ")
        ),
        (resetting, "http", 5, "closed the connection before it answered", False),
        (answering(b"220 mail.example ESMTP\r\n\r\n"), "http", 5, "not HTTP", True),
        (answering(b"HTTP/1.1 204 No Content\r\nX : 1\r\n\r\n"), "http", 5, "not HTTP", True),
        *(
            (without_tls(answer), "https", 5, "does not speak TLS as expected", False)
            for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"")
        ),
    ],
)
async def test_a_failed_exchange_is_told_by_its_cause_and_whether_it_may_have_counted(
    sender: Sender, handle: Handler, scheme: str, seconds: float, words: str, ambiguous: bool
) -> None:
    body = b"x" * (30_000_000 if handle is resetting else 2)
    async with tcp_server(handle) as server:
        with pytest.raises(errors.SendError, match=words) as caught:
            await sender.send(request(server.url.replace("http:", f"{scheme}:"), body), seconds)
    assert caught.value.ambiguous is ambiguous


async def test_a_body_cut_after_the_head_does_not_change_the_verdict(sender: Sender) -> None:
    async with tcp_server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")) as server:
        assert (await sender.send(request(server.url), 5)).status == 200


async def test_an_endless_body_is_not_read_to_its_end(sender: Sender) -> None:
    async def handle(server: TcpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    async with tcp_server(handle) as server:
        answer = await sender.send(request(server.url), 5)
    assert 60_000 < len(answer.body) < 200_000


YESTERDAY = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
EXPIRED = {"not_before": YESTERDAY, "not_after": YESTERDAY + datetime.timedelta(days=1)}


@pytest.mark.parametrize(
    ("known", "certificate", "words"),
    [
        (False, {}, r"signed by an unknown CA.*bridge\.ca_file"),
        (True, EXPIRED, "not trusted: expired; check the clock"),
        (True, {"host": "other.example"}, "made for another"),
        (True, {}, ""),
    ],
)
async def test_a_certificate_is_taken_with_its_ca_and_else_refused_by_name(
    ca: tuple[trustme.CA, Path], known: bool, certificate: dict[str, Any], words: str
) -> None:
    async with (
        Sender(ca_file=ca[1] if known else None) as sender,
        tcp_server(answering(OK), server_side(ca[0], **certificate)) as server,
    ):
        exchange = sender.send(request(server.url.replace("http:", "https:")), 5)
        if not words:
            assert (await exchange).status == 204
            return
        with pytest.raises(errors.SendError, match=words) as caught:
            await exchange
        assert not caught.value.ambiguous
        assert server.requests == []


def old_authority(directory: Path) -> tuple[Path, Path, Path]:
    """A CA as old tools make them, without key identifiers and with basic constraints that are not critical."""
    now = datetime.datetime.now(datetime.UTC)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Company CA")])
    issuer_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(subject: x509.Name, owner: ec.EllipticCurvePrivateKey, what: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder(issuer, subject, owner.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
        return builder.add_extension(what, critical=False).sign(issuer_key, SHA256()).public_bytes(Encoding.PEM)

    host = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    files = {
        "ca.pem": certificate(issuer, issuer_key, x509.BasicConstraints(ca=True, path_length=None)),
        "cert.pem": certificate(host, key, names),
        "key.pem": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory / "ca.pem", directory / "cert.pem", directory / "key.pem"


async def test_a_company_ca_that_openssl_takes_is_taken_by_every_python(tmp_path: Path) -> None:
    ca_file, certificate, key = old_authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with Sender(ca_file=ca_file) as sender, tcp_server(answering(OK), context) as server:
        assert (await sender.send(request(server.url.replace("http:", "https:")), 5)).status == 204


async def test_no_key_of_a_connection_is_written_down(
    ca: tuple[trustme.CA, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "none" / "keys"))
    async with Sender(ca_file=ca[1]) as sender, tcp_server(answering(OK), server_side(ca[0])) as server:
        assert (await sender.send(request(server.url.replace("http:", "https:")), 5)).status == 204


@pytest.mark.parametrize("text", [None, "no certificate here\n"])
def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(errors.DestinationError, match=r"bridge\.ca_file .*ca\.pem cannot be used: (No such|it holds)"):
        Sender(ca_file=path)


# Proxies


def with_password(proxy: TcpServer) -> Secret:
    return Secret(f"http://me:hunter2@127.0.0.1:{proxy.port}")


async def test_an_http_proxy_carries_a_request_to_its_destination() -> None:
    async with tcp_server(answering(OK)) as proxy:
        async with Sender(proxy=with_password(proxy)) as sender:
            assert (await sender.send(request("http://ga4.invalid/mp/collect"), 5)).status == 204
        (got,) = proxy.requests
    assert got.startswith(b"POST http://ga4.invalid/mp/collect?")
    assert b"proxy-authorization: basic" in got.lower()


async def test_a_proxy_that_refuses_is_named_without_its_password() -> None:
    refusing = answering(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    async with tcp_server(refusing) as proxy, Sender(proxy=with_password(proxy)) as sender:
        with pytest.raises(errors.SendError, match=r"407 Proxy Authentication Required.*password") as caught:
            await sender.send(request("https://ga4.invalid/mp/collect"), 5)
    assert not caught.value.ambiguous
    assert f"through proxy 127.0.0.1:{proxy.port}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_a_proxy_that_is_not_there_is_named() -> None:
    async with Sender(environ={"HTTPS_PROXY": f"http://127.0.0.1:{unused_port()}"}) as sender:
        with pytest.raises(
            errors.SendError, match=r"ga4\.invalid \(through proxy 127\.0\.0\.1:\d+\) cannot be connected"
        ):
            await sender.send(request("https://ga4.invalid/mp/collect"), 5)


async def test_a_proxy_that_hangs_is_no_ambiguity() -> None:
    async with tcp_server(hanging) as proxy, Sender(proxy=Secret(f"http://127.0.0.1:{proxy.port}")) as sender:
        with pytest.raises(errors.SendError, match="did not accept a connection in time") as caught:
            await sender.send(request("https://ga4.invalid/mp/collect"), 0.3)
        assert not caught.value.ambiguous


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:1"}, "http://low:1"),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "localhost, .Example.com"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "relay.example.com:8443"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "relay.example.com:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ample.com"}, "http://p:1"),
    ],
)
def test_the_environment_names_the_proxy(environ: dict[str, str], proxy: str | None) -> None:
    found = proxy_for("https://relay.example.com:8443/x", None, environ)
    assert (found.reveal() if found else None) == proxy


def test_the_configured_proxy_beats_the_environment() -> None:
    found = proxy_for("https://h/x", Secret("http://mine:1"), {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"})
    assert found == Secret("http://mine:1")


@pytest.mark.parametrize(
    ("host", "no_proxy", "straight"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:8443", "10.0.0.0/8", True),
        ("[::1]", "[::1]", True),
        ("[::1]", "::1", True),
        ("[::1]:8443", "[::1]:8443", True),
        ("[fd00::7]", "fd00::/8", True),
        ("[::1]", "10.0.0.0/8", False),
        ("www.example.com", "*.example.com", True),
        ("example.org", "*.example.com", False),
        ("example.com", "example.com:443", True),
        ("example.com", "example.com:8443", False),
        ("example.com.", "example.com", True),
        ("example.com", "other , example.com", True),
        ("example.com", "*:8443", False),
        ("example.com", ",,", False),
        ("example.com", ".", False),
        ("example.com", "10.0.0.0/99 [ ]: :443 *.", False),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it(host: str, no_proxy: str, straight: bool) -> None:
    found = proxy_for(f"https://{host}/mp", None, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": no_proxy})
    assert (found is None) is straight


@pytest.mark.parametrize(
    "proxy",
    [
        *("socks5://me:hunter2@p:1", "http://", "http://me:hunter2@p:port", "http://me:1#hunter2@p"),
        *("http://me:1/hunter2@p", "http://me:1?hunter2@p", "http://me:hunter2\x07@p", "http://p:1/hunter2"),
    ],
)
def test_what_is_no_proxy_is_refused_without_quoting_it(proxy: str) -> None:
    with pytest.raises(errors.DestinationError, match=r"bridge\.proxy is not an http or https address") as caught:
        proxy_for("https://h/x", Secret(proxy), {})
    assert "hunter2" not in str(caught.value)


# Secrets


@pytest.mark.parametrize(
    ("url", "proxy"),
    [("https://999.1.1.1/x", None), ("https://h/x", Secret("http://me:hunter2@999.1.1.1"))],
)
async def test_addresses_that_no_request_can_be_made_to_are_seen_before_anything_is_sent(
    url: str, proxy: Secret | None
) -> None:
    async with Sender(proxy=proxy) as made:
        with pytest.raises(errors.DestinationError) as caught:
            made.check(url)
        with pytest.raises(errors.DestinationError):
            await made.send(request(url), 5)
    assert "hunter2" not in str(caught.value)


async def test_no_logger_says_the_secret_at_any_level(
    sender: Sender, logged: io.StringIO, ca: tuple[trustme.CA, Path]
) -> None:
    echo = (
        f"HTTP/1.1 302 Found\r\nLocation: http://x/?measurement_id=G-1&api_secret={SECRET}\r\nContent-Length: 0\r\n\r\n"
    )
    for answer in (OK, echo.encode()):
        async with tcp_server(answering(answer)) as server:
            await sender.send(request(server.url), 5)
    for answer in (b"", b"nonsense\r\n\r\n"):
        async with tcp_server(answering(answer)) as server:
            with pytest.raises(errors.SendError) as caught:
                await sender.send(request(server.url), 5)
        assert SECRET not in _traceback(caught.value)
    async with tcp_server(answering(OK), server_side(ca[0])) as server:
        with pytest.raises(errors.SendError, match="certificate that is not trusted") as caught:
            await sender.send(request(server.url.replace("http:", "https:")), 5)
    assert SECRET not in _traceback(caught.value)
    assert SECRET not in logged.getvalue()


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)
