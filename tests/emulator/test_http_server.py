"""The HTTP server core under good, bad and slow clients, over real sockets."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
import trustme

from bridge.http_server import CutOff, HttpRequest, HttpResponse, Limits, ListenError, Server

IMPATIENT = Limits(head=2_000, body=1_000, idle=0.2, transfer=0.3, grace=0.3, connections=4)


async def echo(request: HttpRequest) -> HttpResponse:
    seen = {"X-Host": request.headers.get("host", ""), "X-Query": request.query, "X-Peer": request.peer}
    return HttpResponse(200, request.body, headers=tuple(seen.items()))


async def broken(_: HttpRequest) -> HttpResponse:
    raise RuntimeError("secret inside")


async def cut(_: HttpRequest) -> CutOff:
    return CutOff(b"HTTP/1.1 2")


ROUTES = {
    ("GET", "/"): echo,
    ("POST", "/"): echo,
    ("POST", "/only-post"): echo,
    ("GET", "/broken"): broken,
    ("GET", "/cut"): cut,
}


async def port_of(server: Server) -> int:
    """Start it; the port on which it listens."""
    return urlsplit(await server.start("127.0.0.1", 0)).port or 0


@asynccontextmanager
async def serving(
    limits: Limits | None = None, **more: Callable[[HttpRequest], Awaitable[HttpResponse]]
) -> AsyncIterator[int]:
    routes = {**ROUTES, **{("GET", f"/{name}"): handler for name, handler in more.items()}}
    server = Server(routes, limits=limits)
    port = await port_of(server)
    try:
        yield port
    finally:
        await server.close()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(5):
            yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def exchange(port: int, sent: bytes, *, end: bool = False) -> bytes:
    """What the server answers to raw bytes until it closes the connection."""
    async with connected(port) as (reader, writer):
        writer.write(sent)
        if end:
            writer.write_eof()
        return await reader.read()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        (b"GET /?a HTTP/1.1\r\nHost: h\r\n\r\n" * 3, 3),  # until the client ends the connection
        (b"GET /?a HTTP/1.0\r\n\r\n", 1),
        (b"GET /?a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" * 2, 1),
    ],
)
async def test_requests_share_a_connection_until_the_client_wants_it_closed(sent: bytes, answers: int) -> None:
    async with serving() as port:
        answer = await exchange(port, sent, end=answers > 1)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == answer.count(b"X-Query: a\r\n") == answers
    assert (b"Connection: close\r\n" in answer) == (answers == 1)


async def test_head_is_get_without_the_body_and_unknown_paths_and_methods_are_told_apart() -> None:
    async with serving() as port, httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client:
        get, head = await client.get("/broken"), await client.head("/broken")
        answers = [await client.get(path) for path in ("/nowhere", "/only-post")]
    assert (bool(get.content), head.content) == (True, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert [(each.status_code, each.headers.get("allow")) for each in answers] == [(404, None), (405, "POST")]


async def test_a_body_in_chunks_arrives_whole() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one ", b"two ", b"three"):
            yield piece

    async with serving() as port, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", content=pieces())
    assert answer.content == b"one two three"


async def test_a_client_that_asks_whether_to_go_on_is_told_to() -> None:
    async with serving() as port, connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert status(await reader.readuntil(b"\r\n\r\n")) == 100
        writer.write(b"ok")
        assert status(await reader.readuntil(b"\r\n\r\n")) == 200
        assert await reader.readexactly(2) == b"ok"


GARBAGE = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # somebody speaks TLS
    (b"hello\r\n\r\n", 400),
    (b"GET / HTTP/two\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
    (b"GET / HTTP/1.1\r\nHost: h\r\nbad header\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: many\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 40_000, 431),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2_000, 413),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 300_000, 413),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\nhalf", 408),
    (b"GET / HT", 408),
]


@pytest.mark.parametrize(("sent", "expected"), GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_gets_an_answer_an_end_and_no_log(
    sent: bytes, expected: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(IMPATIENT) as port:
        answer = await exchange(port, sent)
        assert status(await exchange(port, b"GET / HTTP/1.0\r\n\r\n")) == 200
    assert status(answer) == expected
    assert b"Connection: close\r\n" in answer
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"\x16\x03\x01\xff\xff", b""], ids=range(3))
async def test_whoever_speaks_no_tls_to_a_tls_port_is_let_go_without_a_log(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = Server(ROUTES, tls=context, limits=IMPATIENT)
    port = await port_of(server)
    await exchange(port, sent)
    await server.close()
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


async def test_a_silent_client_is_let_go() -> None:
    async with serving(IMPATIENT) as port:
        assert await exchange(port, b"") == b""


async def test_a_client_that_does_not_take_its_answer_is_let_go() -> None:
    asked = asyncio.Event()

    async def large(_: HttpRequest) -> HttpResponse:
        asked.set()
        return HttpResponse(200, b"x" * 30_000_000)

    async with serving(IMPATIENT, large=large) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        async with asyncio.timeout(5):
            await asked.wait()
            (connection,) = asyncio.all_tasks() - {asyncio.current_task()}
            await connection
        writer.transport.abort()


@pytest.mark.parametrize("sent", [b"", b"GE"], ids=["idle", "in the middle of a request"])
async def test_a_new_connection_takes_the_place_of_the_one_that_waits_longest(sent: bytes) -> None:
    async with serving(Limits(connections=3)) as port, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(port)) for _ in range(3)]
        for reader, writer in clients:  # each of them is in use before it waits
            writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            writer.write(sent)
        assert status(await exchange(port, b"GET / HTTP/1.0\r\n\r\n")) == 200
        assert await clients[0][0].read() == b""
        for _, writer in clients[1:]:
            writer.write(b"GET / HTTP/1.0\r\n\r\n"[len(sent) :])
        assert [status(await reader.read()) for reader, _ in clients[1:]] == [200, 200]


async def test_many_new_connections_at_once_leave_room_for_the_last() -> None:
    async with serving(Limits(connections=4)) as port, asyncio.timeout(5):
        idle = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(40)))
        assert status(await exchange(port, b"GET / HTTP/1.0\r\n\r\n")) == 200
        for _, writer in idle:
            writer.transport.abort()


async def test_no_connection_is_given_up_while_it_is_answered() -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: HttpRequest) -> HttpResponse:
        started.set()
        await go_on.wait()
        return HttpResponse(200, b"done")

    async with serving(Limits(connections=1), slow=slow) as port, asyncio.timeout(5):
        busy = asyncio.create_task(exchange(port, b"GET /slow HTTP/1.0\r\n\r\n"))
        await started.wait()
        with pytest.raises((ConnectionError, IndexError)):
            status(await exchange(port, b"GET / HTTP/1.0\r\n\r\n"))
        go_on.set()
        assert (await busy).endswith(b"done")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_all_addresses_means_those_of_both_protocols() -> None:
    server = Server(ROUTES)
    url = urlsplit(await server.start("::", 0))
    assert url.hostname == "::"
    async with httpx.AsyncClient(trust_env=False) as client:
        peers = [(await client.get(f"http://{own}:{url.port}/")).headers["x-peer"] for own in ("127.0.0.1", "[::1]")]
    assert peers == ["127.0.0.1", "::1"]
    await server.close()


@pytest.mark.parametrize(
    ("target", "host", "path", "query"),
    [
        ("http://Other:80/", "Other:80", "/", ""),
        ("HTTP://other?a=/b", "other", "/", "a=/b"),
        ("https://[::1]/?a", "[::1]", "/", "a"),
        ("http://other/nowhere", "other", None, ""),
        ("//other/", "h", None, ""),
        ("*", "h", None, ""),
        ("ftp://other/", "h", None, ""),
    ],
)
async def test_a_target_may_be_a_whole_url_and_its_host_counts(
    target: str, host: str, path: str | None, query: str
) -> None:
    async with serving() as port:
        answer = await exchange(port, f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    assert status(answer) == (200 if path else 404)
    assert (f"X-Host: {host}\r\nX-Query: {query}\r\n".encode() in answer) == bool(path)


async def test_a_fault_in_a_handler_is_logged_and_hidden(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as port:
        answer = await exchange(port, b"GET /broken?api_secret=hush HTTP/1.0\r\n\r\n")
    assert status(answer) == 500
    assert b"secret" not in answer
    (record,) = caplog.records
    assert str(record.msg) == "what=http_handler_failed method=GET path=/broken"
    assert "hush" not in caplog.text


async def test_a_handler_can_cut_the_connection_off() -> None:
    async with serving() as port:
        assert await exchange(port, b"GET /cut HTTP/1.1\r\nHost: h\r\n\r\n") == b"HTTP/1.1 2"


async def test_closing_lets_an_answer_finish_and_ends_everything_else() -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: HttpRequest) -> HttpResponse:
        started.set()
        await go_on.wait()
        return HttpResponse(200, b"done")

    server = Server({("GET", "/"): slow})
    port = await port_of(server)
    idle = asyncio.create_task(exchange(port, b""))
    busy = asyncio.create_task(exchange(port, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
    await started.wait()
    closing = asyncio.create_task(server.close())
    await asyncio.sleep(0)
    go_on.set()
    async with asyncio.timeout(5):
        await closing
        assert (await busy).endswith(b"done")
        assert await idle == b""


async def test_closing_waits_for_no_answer_that_never_comes() -> None:
    started = asyncio.Event()

    async def hang(_: HttpRequest) -> HttpResponse:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with asyncio.timeout(5):
        async with serving(IMPATIENT, hang=hang) as port:
            waiting = asyncio.create_task(exchange(port, b"GET /hang HTTP/1.0\r\n\r\n"))
            await started.wait()
        assert await waiting == b""


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1", "..", "x" * 100])
async def test_a_taken_port_or_an_address_of_elsewhere_is_one_clear_error(host: str) -> None:
    async with serving() as port:
        with pytest.raises(ListenError) as raised:
            await Server({}).start(host, port)
    assert raised.value.what.startswith(f"cannot listen on {host}:{port}: ")
    assert ("in use" in raised.value.what) == (host == "127.0.0.1")
    assert raised.value.remedy == "choose an address of this machine and a free port (0: any)"


async def test_closing_does_not_wait_for_a_handshake_that_stands_still() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = Server(ROUTES, tls=context, limits=Limits(grace=0.2))
    port = await port_of(server)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(5):
        await server.close()
    writer.transport.abort()
