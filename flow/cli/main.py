"""The command line: one function for each command; everything heavy is imported when a command runs."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from flow import __version__
from flow.errors import CheckFailed, FlowError

app = typer.Typer(
    name="flow",
    help="From a trained QKeras network to streaming RTL that equals it, integer by integer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)

COMMANDS = (
    "build", "sweep", "compare", "train", "study", "search", "isocost", "mixer", "pick", "simulate", "handoff",
    "doctor", "models",
)  # fmt: skip
for _name in COMMANDS:
    app.command(name=_name)(getattr(import_module(f"flow.cli.{_name}"), _name))


@app.callback(invoke_without_command=True)
def _options(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(f"flow {__version__}")
        raise typer.Exit


def main() -> None:
    """Runs a command: 0 all exact, 1 a check failed, 2 a user's mistake, 130 interrupted."""
    try:
        app()
    except FlowError as error:
        _stop(f"flow: {error}", 2)
    except CheckFailed as error:
        _stop(f"flow: check failed: {error}", 1)
    except KeyboardInterrupt:
        _stop("flow: interrupted; the next run goes on from the last finished stage", 130)
    except OSError as error:
        _stop(f"flow: {error.filename or 'the system'}: {error.strerror or error}", 2)


def _stop(message: str, status: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
