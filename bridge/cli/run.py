"""`run`: the service, from the command line."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bridge.cli.command import Command
from bridge.cli.context import pass_installation
from bridge.config.consent import require
from bridge.config.roles import Role
from bridge.service.signals import hold_signals

if TYPE_CHECKING:
    from bridge.app import Installation


@click.command(name="run", cls=Command)
@click.option("--collect-only", is_flag=True, help="Queue reports for `deliver`; know no API secret.")
@pass_installation
def command(installation: Installation, *, collect_only: bool) -> None:
    """Report on schedule until stopped.

    The first report comes after `initial_report`, the others every `periodic_report`. SIGUSR1 reports now, SIGHUP reads
    the configuration again, SIGTERM and SIGINT stop within 10 s. From the cluster's own shell:
    gen_server:call({mongooseim_bridge, 'mongooseim_bridge@host'}, report), and the same with status.

    Exits with 0 when told to stop, 2 when --collect-only is given to a process that can read an API secret, 4 when
    reporting is off, 5 when another service has the state directory, 6 when the health port is taken.
    """
    serve(installation, Role.COLLECT if collect_only else Role.BOTH)


def serve(installation: Installation, role: Role) -> None:
    """Run the service in a role until it is told to stop."""
    hold_signals()
    gc.set_threshold(700, 10, 10)  # Python's own: unlike other commands, it lives long enough to have garbage
    # Imported now, since it takes half a second on a slow machine, in which a signal would end us with a traceback.
    from bridge.service.sd_notify import Notifier  # noqa: PLC0415
    from bridge.service.service import Service  # noqa: PLC0415
    from bridge.threads import run  # noqa: PLC0415

    require(installation.consent)
    installation = replace(installation, role=role)
    installation.check()  # what is wrong is said before anything is opened
    run(Service(installation, Notifier(installation.environ)).run())
