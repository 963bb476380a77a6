"""`mongooseim-bridge`: the group of commands, its global options, and exit codes for every foreseen error.

The codes are those of `bridge.errors.ExitCode`.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click

from bridge import __version__
from bridge.cli.command import LazyGroup, usage_error
from bridge.cli.output import FULL, coloured, give_up_output
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = "mongooseim-bridge"
COMMANDS: Final = {
    "report": ("report", "Collect now, queue, write the JSON log, deliver."),
    "preview": ("preview", "Show exactly what would be sent; send and write nothing."),
    "run": ("run", "The service: reports on schedule until stopped."),
    "deliver": ("deliver", "The half of the service that sends, for a user without the cookie."),
    "nodes": ("nodes", "The cluster as it is seen."),
    "doctor": ("doctor", "Check every step from name resolution to GA4."),
    "status": ("status", "Last and next report, the queue and deliveries."),
    "history": ("history", "Past reports and what became of them."),
    "consent": ("consent", "What you agreed to report, and what is new; agree to it."),
    "validate": ("validate", "Let GA4's validator judge the current report."),
    "compare": ("compare", "Compare with what a node's own reporter collects."),
    "ga4": ("ga4", "Ask Google: set a property up, prove arrival, show a report."),
    "probes": ("probes", "The Erlang text that is evaluated in the nodes."),
    "ga4-emulator": ("emulator", "A local endpoint that checks and shows events as GA4's validator does."),
    "schema": ("schema", "JSON Schemas of what commands print as JSON."),
    "fleet": ("fleet", "Many installations: questions to an export of their events."),
    "config": ("config", "Write an example, check or show the configuration."),
}
"""Command, its module in bridge.cli, and its line in the overview."""


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name=NAME)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Report MongooseIM's system metrics to Google Analytics 4 from outside the cluster.

    Results go to stdout, logs to stderr. Exit codes: 0 done; 1 collected but not all delivered, the rest is queued;
    2 usage or configuration; 3 no node could be asked; 4 reporting is switched off; 5 the state directory cannot be
    used; 6 the health listener cannot listen; 7 Google's own APIs cannot be asked.
    """
    ctx.color = coloured(os.environ)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every foreseen error is one clear line on stderr and its own exit code."""
    gc.set_threshold(50_000)  # modules and classes are no garbage; looking for it takes a tenth of a `preview`
    try:
        code = cli.main(arguments, prog_name=NAME, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        click.echo(f"{NAME}: interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        _fail(usage_error(error))
    except BridgeError as error:
        _fail(error)
    except BrokenPipeError:
        give_up_output()
        sys.exit(0)
    except OSError as error:
        if error.errno not in FULL:
            raise
        give_up_output()
        click.echo(f"{NAME}: the output cannot be written: {error.strerror}; give it another place", err=True)
        sys.exit(1)
    finally:
        gc.freeze()  # what ends with the process is not looked through once more: another tenth


def _fail(error: BridgeError) -> NoReturn:
    for line in str(error).splitlines():
        click.echo(f"{NAME}: {line}", err=True)
    sys.exit(error.exit_code)
