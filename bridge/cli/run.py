"""`run`: the service, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridge.cli.context import AppContext, pass_app

if TYPE_CHECKING:
    from bridge.service.plan import Plan


@click.command(name="run")
@pass_app
def command(app: AppContext) -> None:
    """Report on schedule until stopped.

    The first report comes after `initial_report`, the others every `periodic_report`. SIGUSR1 reports now, SIGHUP reads
    the configuration again, SIGTERM and SIGINT stop within 10 s. From the cluster's own shell:
    gen_server:call({mongooseim_bridge, 'mongooseim_bridge@host'}, report), and the same with status.

    Exits with 0 when told to stop, 4 when reporting is off, 5 when another service has the state directory, 6 when the
    health port is taken.
    """
    import os  # noqa: PLC0415 - `--help` does not need it

    from bridge.service.signals import handle_early_signals  # noqa: PLC0415

    handle_early_signals()

    import asyncio  # noqa: PLC0415 - takes its time, and early signals must not end us

    from bridge.service.consent import require  # noqa: PLC0415
    from bridge.service.plan import Plan  # noqa: PLC0415
    from bridge.service.sd_notify import Notifier  # noqa: PLC0415
    from bridge.service.service import Service  # noqa: PLC0415

    require(app.settings.service, app.environ)
    plan = Plan(app.settings, app.access, app.destinations)
    notifier = Notifier(app.environ, os.getpid())
    asyncio.run(Service(plan, lambda: _read_again(app), app.environ, notifier).run())


def _read_again(app: AppContext) -> Plan:
    """The configuration as it is now, under the same options and environment; the log changes last."""
    from bridge.cli.context import set_up_log  # noqa: PLC0415 - as above
    from bridge.config.access import access  # noqa: PLC0415
    from bridge.config.destinations import destinations  # noqa: PLC0415
    from bridge.config.load import load  # noqa: PLC0415
    from bridge.service.plan import Plan  # noqa: PLC0415

    loaded = load(app.file, app.environ, app.options)
    plan = Plan(loaded.settings, access(loaded, app.environ), destinations(loaded, app.environ))
    set_up_log(loaded.settings.bridge.log_level, loaded.settings.bridge.log_format)
    return plan
