"""`consent`: what the operator agreed to, what a newer release can report beyond it, and agreeing to that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridge.cli import shapes
from bridge.cli.command import Group
from bridge.cli.context import format_option, pass_installation, pass_unread
from bridge.cli.shapes import Fact, echo_json, shaped
from bridge.report.events import CONTRACT, EVENTS, new_params

if TYPE_CHECKING:
    from bridge.app import Installation


@click.group(name="consent", cls=Group, invoke_without_command=True)
@format_option("text", "json")
@click.pass_context
@pass_unread
def command(installation: Installation, ctx: click.Context, form: str) -> None:
    """Show whether reports are made, the contract of what can be reported, and what is new since you agreed."""
    if ctx.invoked_subcommand:
        return
    installation.set_up_log()
    with installation.state(look=True) as state:
        agreed = state.agreed()
    new = [(name.partition(".")[0], name.partition(".")[2]) for name in new_params(agreed)]
    facts = [Fact(event=event, param=param, meaning=EVENTS[event][param].meaning) for event, param in new]
    held = installation.settings.bridge.new_facts == "hold"
    consent = installation.consent
    if form == "json":
        document = shaped(
            shapes.Consent, consent, reporting=consent.given, contract=CONTRACT, agreed=agreed, held=held, new=facts
        )
        echo_json(document)
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
