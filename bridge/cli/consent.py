"""`consent`: what the operator agreed to, what a newer release can report beyond it, and agreeing to that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from bridge.cli.command import Group
from bridge.cli.context import echo_json, format_option, pass_installation, pass_unread
from bridge.document import Document
from bridge.report.events import CONTRACT, EVENTS, new_params

if TYPE_CHECKING:
    from bridge.app import Installation


class Fact(Struct, frozen=True):
    """A param that can be reported, with what it means."""

    event: str
    param: str
    meaning: str


class Consent(Document, frozen=True):
    """`consent`."""

    reporting: bool
    reason: str
    contract: int
    agreed: int
    held: bool
    new: tuple[Fact, ...]


@click.group(name="consent", cls=Group, invoke_without_command=True)
@format_option("text", "json", document=Consent)
@click.pass_context
@pass_unread
def command(installation: Installation, ctx: click.Context, form: str) -> None:
    """Show whether reports are made, the contract of what can be reported, and what is new since you agreed."""
    if ctx.invoked_subcommand:
        return
    installation.set_up_log()
    with installation.state(look=True) as state:
        agreed = state.agreed()
    facts = tuple(Fact(event, param, EVENTS[event][param].meaning) for event, param in new_params(agreed))
    held = installation.settings.bridge.new_facts == "hold"
    consent = installation.consent
    if form == "json":
        echo_json(Consent(consent.given, consent.reason, CONTRACT, agreed, held, facts))
        return
    click.echo(f"reporting: {'on' if consent.given else 'off'}, {consent.reason}")
    click.echo(f"this release can report contract {CONTRACT}; you agreed to contract {agreed}")
    for fact in facts:
        click.echo(f"new: {fact.event}.{fact.param}: {fact.meaning}")
    if facts:
        click.echo("they are kept back until `consent accept`" if held else "they are reported from the next report on")


@command.command(name="accept")
@pass_installation
def accept(installation: Installation) -> None:
    """Agree to all that this release can report. A running service reports it from the next report on."""
    with installation.state() as state:
        state.agree(CONTRACT)
    click.echo(f"you agreed to contract {CONTRACT}")
