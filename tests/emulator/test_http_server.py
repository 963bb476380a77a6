"""The HTTP server core under good, bad and slow clients, over real sockets."""

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
import trustme

from bridge.http_server import CutOff, Limits, ListenError, Request, Response, Server

IMPATIENT = Limits(head=2_000, body=1_000, idle=0.2, request=0.3, write=0.3, grace=0.3, connections=4)


async def echo(request: Request) -> Response:
    return Response(200, request.body, headers=(("X-Query", request.query), ("X-Peer", request.peer)))


async def broken(_: Request) -> Response:
    raise RuntimeError("secret inside")


async def cut(_: Request) -> Response:
    raise CutOff(b"HTTP/1.1 2")


ROUTES = {
    ("GET", "/"): echo,
    ("POST", "/"): echo,
    ("POST", "/only-post"): echo,
    ("GET", "/broken"): broken,
    ("GET", "/cut"): cut,
}


@asynccontextmanager
async def serving(limits: Limits | None = None, **more: Callable[[Request], Awaitable[Response]]) -> AsyncIterator[int]:
    routes = {**ROUTES, **{("GET", f"/{name}"): handler for name, handler in more.items()}}
    server = Server(routes, limits=limits)
    _, port = await server.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        await server.close()


async def exchange(port: int, sent: bytes, *, end: bool = False) -> bytes:
    """What the server answers to raw bytes until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        if end:
            writer.write_eof()
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def test_requests_share_a_connection_until_the_client_ends_it() -> None:
    async with serving() as port:
        answer = await exchange(port, b"GET /?a HTTP/1.1\r\nHost: h\r\n\r\n" * 3, end=True)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert b"X-Query: a\r\n" in answer


@pytest.mark.parametrize("last", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"])
async def test_the_connection_is_closed_where_the_client_wants_it(last: bytes) -> None:
    async with serving() as port:
        answer = await exchange(port, last)
    assert status(answer) == 200
    assert b"Connection: close\r\n" in answer


async def test_head_is_get_without_the_body() -> None:
    async with serving() as port, httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client:
        get, head = await client.get("/broken"), await client.head("/broken")
    assert get.content
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_a_body_in_chunks_arrives_whole() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one ", b"two ", b"three"):
            yield piece

    async with serving() as port, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", content=pieces())
    assert answer.content == b"one two three"


async def test_a_client_that_asks_whether_to_go_on_is_told_to() -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        async with asyncio.timeout(5):
            assert status(await reader.readuntil(b"\r\n\r\n")) == 100
            writer.write(b"ok")
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert status(answer) == 200
    assert answer.endswith(b"\r\n\r\nok")


async def test_unknown_paths_and_methods_are_told_apart() -> None:
    async with serving() as port, httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/nowhere")).status_code == 404
        answer = await client.get("/only-post")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


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
    _, port = await server.start("127.0.0.1", 0)
    await exchange(port, sent)
    await server.close()
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


async def test_a_silent_client_is_let_go() -> None:
    async with serving(IMPATIENT) as port:
        assert await exchange(port, b"") == b""


async def test_a_client_that_does_not_take_its_answer_is_let_go() -> None:
    gone = asyncio.Event()

    async def large(_: Request) -> Response:
        gone.set()
        return Response(200, b"x" * 30_000_000)

    async with serving(IMPATIENT, large=large) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        async with asyncio.timeout(5):
            await gone.wait()
            (connection,) = asyncio.all_tasks() - {asyncio.current_task()}
            await connection
        writer.transport.abort()


async def test_more_connections_than_allowed_are_closed_at_once() -> None:
    async with serving(Limits(connections=1)) as port:
        _, first = await asyncio.open_connection("127.0.0.1", port)
        first.write(b"GE")
        with pytest.raises((ConnectionError, AssertionError)):
            assert await exchange(port, b"GET / HTTP/1.0\r\n\r\n")
        first.close()
        await first.wait_closed()


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

    async def slow(_: Request) -> Response:
        started.set()
        await go_on.wait()
        return Response(200, b"done")

    server = Server({("GET", "/"): slow})
    _, port = await server.start("127.0.0.1", 0)
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


async def test_closing_does_not_wait_for_an_answer_that_never_comes() -> None:
    started = asyncio.Event()

    async def hang(_: Request) -> Response:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with asyncio.timeout(5):
        async with serving(IMPATIENT, hang=hang) as port:
            waiting = asyncio.create_task(exchange(port, b"GET /hang HTTP/1.1\r\nHost: h\r\n\r\n"))
            await started.wait()
        assert await waiting == b""


async def test_a_taken_port_is_one_clear_error() -> None:
    async with serving() as port:
        with pytest.raises(ListenError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*in use"):
            await Server({}).start("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "..", "x" * 100])
async def test_an_address_that_is_none_of_this_machine_is_one_clear_error(host: str) -> None:
    with pytest.raises(ListenError, match=rf"cannot listen on {re.escape(host)}:0: .*choose an address"):
        await Server({}).start(host, 0)


async def test_closing_does_not_wait_for_a_handshake_that_stands_still() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = Server(ROUTES, tls=context, limits=Limits(grace=0.2))
    _, port = await server.start("127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(5):
        await server.close()
    writer.transport.abort()
