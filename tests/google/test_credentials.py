"""Tokens are asked for as Google has it, over the bridge's own sender, and every failure names its remedy."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import trustme
from google.auth import jwt

from bridge.app import Installation
from bridge.config.errors import ConfigError
from bridge.delivery.errors import SendError
from bridge.delivery.sender import Sender
from bridge.google.credentials import READ_SCOPE, Credentials
from bridge.google.errors import GoogleError
from bridge.secret import Secret
from tests.delivery.support import TcpServer, answering, hanging, tcp_server, unused_port
from tests.google.support import EMAIL, TOKEN_URI, ServiceAccount, answer, form

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

SCOPES = [READ_SCOPE]


def tokens(lifetime: int = 3599) -> Callable[[TcpServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Gives token-1, token-2, … that are good for so many seconds."""
    numbers = itertools.count(1)

    async def handle(server: TcpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        body = {"access_token": f"token-{next(numbers)}", "expires_in": lifetime, "token_type": "Bearer"}
        writer.write(answer("200 OK", body))
        await writer.drain()

    return handle


async def ask(server: TcpServer, account: ServiceAccount, **options: Secret) -> Secret:
    async with Sender(**options) as sender:
        return await Credentials(sender, account.file, f"http://127.0.0.1:{server.port}").token(SCOPES)


async def test_a_signed_grant_with_the_scopes_asked_for_is_exchanged_for_a_token(account: ServiceAccount) -> None:
    async with tcp_server(tokens()) as server:
        token = await ask(server, account)
    assert token == Secret("token-1")
    (request,) = server.requests
    assert request.startswith(b"POST /token HTTP/1.1\r\n")
    sent = form(request)
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = jwt.decode(sent["assertion"], certs=account.public_key, audience=TOKEN_URI)
    assert (claims["iss"], claims["scope"]) == (EMAIL, READ_SCOPE)


async def test_a_token_is_asked_for_once_and_again_when_it_was_refused(account: ServiceAccount) -> None:
    async with tcp_server(tokens()) as server, Sender() as sender:
        credentials = Credentials(sender, account.file, f"http://127.0.0.1:{server.port}")
        first = await asyncio.gather(*(credentials.token(SCOPES) for _ in range(3)))
        assert first == [Secret("token-1")] * 3
        renewed = await asyncio.gather(*(credentials.token(SCOPES, refused=first[0]) for _ in range(3)))
        assert renewed == [Secret("token-2")] * 3
        assert await credentials.token([READ_SCOPE, "another"]) == Secret("token-3")


async def test_a_token_that_is_about_to_expire_is_renewed(account: ServiceAccount) -> None:
    async with tcp_server(tokens(lifetime=60)) as server, Sender() as sender:
        credentials = Credentials(sender, account.file, f"http://127.0.0.1:{server.port}")
        assert await credentials.token(SCOPES) == Secret("token-1")
        assert await credentials.token(SCOPES) == Secret("token-2")


async def test_tokens_come_over_tls_with_a_ca_of_its_own_and_through_a_proxy(
    account: ServiceAccount, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    async with tcp_server(tokens(), tls) as server:
        endpoint = f"https://127.0.0.1:{server.port}"
        async with Sender(ca_file=tmp_path / "ca.pem") as sender:
            assert await Credentials(sender, account.file, endpoint).token(SCOPES) == Secret("token-1")
        async with Sender() as sender:
            with pytest.raises(SendError, match="signed by an unknown CA"):
                await Credentials(sender, account.file, endpoint).token(SCOPES)
    async with tcp_server(tokens()) as proxy, Sender(proxy=Secret(f"http://127.0.0.1:{proxy.port}")) as sender:
        assert await Credentials(sender, account.file, "http://google.invalid").token(SCOPES) == Secret("token-1")
    assert proxy.requests[0].startswith(b"POST http://google.invalid/token ")


async def test_what_google_refuses_is_one_line_with_its_reason(account: ServiceAccount) -> None:
    refusal = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    async with tcp_server(answering(answer("400 Bad Request", refusal))) as server:
        with pytest.raises(GoogleError) as caught:
            await ask(server, account)
    assert caught.value.what == (
        f"Google refuses the credentials of {account.file}: invalid_grant: Invalid JWT Signature."
    )
    assert "clock" in caught.value.remedy


async def test_a_token_endpoint_that_cannot_be_reached_is_told_by_its_cause(account: ServiceAccount) -> None:
    with pytest.raises(SendError, match="cannot be connected to"):
        await ask(TcpServer(unused_port()), account)
    async with tcp_server(hanging) as server, Sender(total_seconds=0.2) as sender:
        with pytest.raises(SendError, match="did not answer in time"):
            await Credentials(sender, account.file, f"http://127.0.0.1:{server.port}").token(SCOPES)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "hush-hush", '{"type": "authorized_user"}', '{"private_key": "hush-hush"}']
)
async def test_a_file_without_a_key_is_told_without_quoting_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.json").write_text(text)
    async with Sender() as sender:
        with pytest.raises(GoogleError, match="does not hold the key of a service account") as caught:
            await Credentials(sender, tmp_path / "key.json").token(SCOPES)
        with pytest.raises(ConfigError, match="No such file"):
            await Credentials(sender, tmp_path / "none.json").token(SCOPES)
    assert "hush" not in repr(caught.value) + repr(caught.value.__cause__)


async def test_a_machine_without_credentials_is_told_which_to_make(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"CLOUDSDK_CONFIG": str(tmp_path), "NO_GCE_CHECK": "true", "PATH": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    async with Sender() as sender:
        with pytest.raises(GoogleError, match="no Google credentials") as caught:
            await Credentials(sender).token(SCOPES)
    assert READ_SCOPE in caught.value.remedy


async def test_default_credentials_that_cannot_be_used_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    async with Sender() as sender:
        with pytest.raises(GoogleError, match=r"none.json \(GOOGLE_APPLICATION_CREDENTIALS\)"):
            await Credentials(sender).token(SCOPES)


async def test_application_default_credentials_are_taken_where_no_file_is_named(
    monkeypatch: pytest.MonkeyPatch, account: ServiceAccount
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account.file))
    async with tcp_server(tokens()) as server, Sender() as sender:
        token = await Credentials(sender, None, f"http://127.0.0.1:{server.port}").token(SCOPES)
    assert token == Secret("token-1")


def configured(tmp_path: Path, section: str) -> Installation:
    file = tmp_path / "config.toml"
    file.write_text(f"[bridge.google]\n{section}\n")
    return Installation(file, {}, {})


async def test_an_endpoint_that_is_not_encrypted_is_refused(tmp_path: Path) -> None:
    async with Sender() as sender:
        with pytest.raises(ConfigError, match=r"config.toml:2: bridge.google.endpoint: .*unencrypted"):
            configured(tmp_path, 'endpoint = "http://google.example"').google_api(sender, "scope")


def test_without_google_auth_the_extra_is_named(tmp_path: Path, account: ServiceAccount) -> None:
    script = f"""
import asyncio, sys
from pathlib import Path
sys.modules["google.auth"] = None
from bridge.delivery.sender import Sender
from bridge.google.credentials import Credentials
async def ask():
    async with Sender() as sender:
        await Credentials(sender, Path({str(account.file)!r})).token(["scope"])
try:
    asyncio.run(ask())
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("NoCredentials google-auth is not installed")
    assert "pip install 'mongooseim-bridge[google]'" in done.stdout
