"""`ga4-emulator`: GA4 on this machine, for senders under test: Measurement Protocol and Google's own APIs."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli.command import Command
from bridge.cli.context import echo_json, format_option, pass_unread
from bridge.config.files import read_secret
from bridge.document import Document
from bridge.emulator.ga_property import GaProperty
from bridge.emulator.server import COLLECT, DEBUG, Emulator
from bridge.errors import BridgeError
from bridge.log import set_up_log
from bridge.text import printable
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bridge.app import Installation
    from bridge.emulator.record import RecordedEvent, RecordedRequest


class Listening(Document, frozen=True):
    """First line of `ga4-emulator`; the others are those of its record."""

    listening: str
    page: str


@click.command(name="ga4-emulator", cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; any free one by default.")
@click.option(
    "--record", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Append JSON lines here."
)
@click.option(
    "--fail",
    multiple=True,
    metavar="MODE",
    help="Fail on purpose: drop, cut, hang, slow=SECONDS, or a status as 503 or 429:retry-after=2. "
    "MODE*3 is for three requests. Several are met one after the other, then all is normal. "
    "For Google's own APIs: token:MODE, admin:MODE, data:MODE, data-manager:MODE.",
)
@click.option("--property", "property_id", default=GaProperty.id, show_default=True, help="Number of the property.")
@click.option(
    "--measurement-id", default=GaProperty.measurement_id, show_default=True, help="What the property counts."
)
@click.option(
    "--api-secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The one good API secret of the property; every secret is good by default.",
)
@click.option("--tls-cert", type=click.Path(dir_okay=False), metavar="FILE", help="Certificate chain (PEM), for https.")
@click.option("--tls-key", type=click.Path(dir_okay=False), metavar="FILE", help="Its key (PEM).")
@format_option("text", "json", document=Listening, help="Form of the live lines.")
@click.option("--quiet", is_flag=True, help="No live lines, only where it listens.")
@pass_unread
def command(
    installation: Installation,
    *,
    host: str,
    port: int,
    record: Path | None,
    fail: tuple[str, ...],
    property_id: str,
    measurement_id: str,
    api_secret_file: Path | None,
    tls_cert: str | None,
    tls_key: str | None,
    form: str,
    quiet: bool,
) -> None:
    """Answer as GA4's Measurement Protocol does, and show what GA4 would have taken and dropped.

    /mp/collect answers 204 to everything, /debug/mp/collect with validation messages; / is a page that shows the
    events. Google's own APIs (Admin, Data, Data Manager) answer under the same address, for one property. The first two
    lines say where it listens and where the page is. Ends with SIGINT or SIGTERM.
    """
    # No configuration is read: nothing here is about the bridge.
    set_up_log(
        str(installation.options.get("bridge.log_level", "info")),
        str(installation.options.get("bridge.log_format", "text")),
    )

    def show(request: RecordedRequest, events: Sequence[RecordedEvent]) -> None:
        _print(_text(request, events) if form == "text" else [event.to_json() for event in events])

    tls = _tls_context(tls_cert, tls_key)
    listener = None if quiet else show
    secret = read_secret(api_secret_file, "--api-secret-file") if api_secret_file else None
    emulator = Emulator(
        host=host,
        port=port,
        fail=";".join(fail),
        tls=tls,
        record=record,
        keep=10_000,
        place=GaProperty(property_id, measurement_id, secret),
        listener=listener,
    )
    run(_serve(emulator, form))


async def _serve(emulator: Emulator, form: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with emulator:
        if form == "text":
            _print([f"listening on {emulator.url}", f"page: {emulator.page}"])
        else:
            echo_json(Listening(emulator.url, emulator.page), indent=-1)
        await stop.wait()


def _tls_context(cert: str | None, key: str | None) -> ssl.SSLContext | None:
    if not cert:
        if key:
            raise click.UsageError("--tls-key needs --tls-cert")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:
        files = f"{cert} and {key}" if key else cert
        remedy = "name a certificate and its key as PEM files"
        raise BridgeError(f"cannot use {files} for TLS: {error.strerror or error}", remedy) from error
    return context


def _print(lines: Iterable[str]) -> None:
    try:
        for line in lines:
            click.echo(line)
    except BrokenPipeError:  # nobody reads any more; senders still want answers
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _text(request: RecordedRequest, events: Sequence[RecordedEvent]) -> Iterator[str]:
    if request.path == DEBUG:
        yield _row(request, "validated", f"{request.events} events, {request.messages} messages")
    if request.path not in (COLLECT, DEBUG):
        yield _row(request, "asked", f"{request.method} {request.path}: {request.answer}")
    elif request.answer not in ("200", "204"):
        yield _row(request, "failing", f"{request.answer} on purpose, {request.events} events")
    for event in events:
        params = " ".join(f"{name}={value}" for name, value in event.params.items())
        yield _row(request, "accepted" if event.accepted else "rejected", f"{event.name or '-':<24}  {params}")
        for note in (*event.reasons, *(f"warning: {text}" for text in event.warnings)):
            yield f"{'':21}{_one_line(note)}"


def _row(request: RecordedRequest, verdict: str, rest: str) -> str:
    return _one_line(f"{request.received[11:19]}Z  {verdict:<9} {request.measurement_id or '-':<14} {rest}".rstrip())


def _one_line(text: str) -> str:
    """What arrives may hold anything; a line stays one."""
    return printable(text).replace("\n", "\\n")
