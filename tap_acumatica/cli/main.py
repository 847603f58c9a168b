"""``tap-acumatica``: the Singer command, whose errors are one line each."""

from __future__ import annotations

import logging
import signal
import sys
import typing as t

from singer_sdk.exceptions import SingerSDKError
from singer_sdk.plugin_base import SingerCommand
from typing_extensions import override

from tap_acumatica.errors import ExitCode, TapError
from tap_acumatica.tap import TapAcumatica

if t.TYPE_CHECKING:
    import click

_SIGNAL_EXIT = 128


class TapCommand(SingerCommand):
    """The Singer command line, without tracebacks."""

    @override
    def main(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Run the command; on an error log one line and end with the error's exit code.

        The traceback is logged at DEBUG.
        """
        try:
            return super().main(*args, **kwargs)
        except KeyboardInterrupt:
            sys.exit(_SIGNAL_EXIT + signal.SIGINT)
        except TapError as error:
            self._end(str(error), error.exit_code)
        except Exception as error:  # noqa: BLE001  whatever it is, people get one line
            self._end(*_foreseen(error))

    def _end(self, message: str, code: ExitCode) -> t.NoReturn:
        self.logger.error(" ".join(message.split()))
        self.logger.debug("Traceback:", exc_info=sys.exc_info())
        logging.shutdown()
        sys.exit(code)


def _foreseen(error: Exception) -> tuple[str, ExitCode]:
    """One line and an exit code for an error that is not the tap's own."""
    kind = type(error).__name__
    if isinstance(error, OSError):
        return str(error), ExitCode.FAILED
    if isinstance(error, SingerSDKError):
        return f"{kind}: {error}", ExitCode.SETTINGS
    return f"{kind}: {error}", ExitCode.FAILED


def command() -> click.Command:
    """The Singer command line of the tap."""
    made = TapAcumatica.cli  # sets up logging as well
    made.__class__ = TapCommand
    return made


def main() -> None:
    """Run the command with the process's arguments."""
    command()()
