"""What the commands besides the Singer one share: ending with one line, and saying what is read."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
import typing as t
from pathlib import Path

import click

from tap_acumatica.errors import ExitCode, TapError
from tap_acumatica.settings.sources import read_config

if t.TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["one_line_errors", "read_config"]

_INTERRUPTED = 130
"""128 plus the number of SIGINT."""


@contextlib.contextmanager
def one_line_errors(command: str) -> Iterator[None]:
    """End the process with one line on standard error and an exit code, whatever is raised.

    Args:
        command: Name of the command, with which the line begins.

    Raises:
        SystemExit: In place of every error.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{command}: %(message)s"))
    logger = logging.getLogger("tap_acumatica.settings")
    level, logger.level = logger.level, logging.INFO
    logger.addHandler(handler)
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
    finally:
        logger.removeHandler(handler)
        logger.level = level


def _end(command: str, message: str, code: int) -> t.NoReturn:
    click.echo(f"{command}: {' '.join(message.split())}", err=True)
    sys.exit(code)
