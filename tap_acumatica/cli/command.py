"""What the commands besides the Singer one share: reading ``--config``, ending with one line."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
import typing as t
from pathlib import Path

import click
import msgspec

from tap_acumatica.errors import ExitCode, SettingsError, TapError
from tap_acumatica.settings.checks import PREFIX, check_environment
from tap_acumatica.settings.table import config_jsonschema
from tap_acumatica.singer import parse_environment_config

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_INTERRUPTED = 130
"""128 plus the number of SIGINT."""


def read_config(sources: Iterable[str]) -> dict[str, t.Any]:
    """The configuration that ``--config`` names; of a setting given twice, the last one counts.

    Args:
        sources: Paths of JSON files, or ``ENV`` for environment variables.

    Raises:
        SettingsError: If one of them does not hold a configuration.
        OSError: If a file cannot be read.
    """
    config: dict[str, t.Any] = {}
    for source in sources:
        config |= _from_environment() if source == "ENV" else _from_file(source)
    return config


@contextlib.contextmanager
def one_line_errors(command: str) -> Iterator[None]:
    """End the process with one line on standard error and an exit code, whatever is raised.

    Args:
        command: Name of the command, with which the line begins.

    Raises:
        SystemExit: In place of every error.
    """
    try:
        yield
    except (click.exceptions.Exit, click.ClickException):
        raise
    except TapError as error:
        _end(command, str(error), error.exit_code)
    except OSError as error:
        _end(command, str(error), ExitCode.FAILED)
    except KeyboardInterrupt:
        _end(command, "interrupted", _INTERRUPTED)
    except Exception as error:  # noqa: BLE001  people get one line, whatever happens
        # Its text may hold what must not be shown.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        message = f"unexpected {type(error).__name__} at {place}; please report it"
        _end(command, message, ExitCode.FAILED)


def _end(command: str, message: str, code: int) -> t.NoReturn:
    click.echo(f"{command}: {' '.join(message.split())}", err=True)
    sys.exit(code)


def _from_environment() -> dict[str, t.Any]:
    check_environment(os.environ)
    return parse_environment_config(config_jsonschema(), PREFIX)


def _from_file(path: str) -> dict[str, t.Any]:
    try:
        found = msgspec.json.decode(Path(path).expanduser().read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"the configuration file {path} is not valid JSON ({error})"
        raise SettingsError(msg) from None
    if not isinstance(found, dict):
        msg = f"the configuration file {path} must hold a JSON object"
        raise SettingsError(msg)
    return found
