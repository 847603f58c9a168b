"""How the command ends: errors as one line for the person who reads them, with exit code 1."""

from __future__ import annotations

import logging
import os
import sys
import typing as t

from singer_sdk.exceptions import ConfigValidationError, SingerSDKError
from singer_sdk.plugin_base import SingerCommand

from tap_acumatica.errors import SettingsError, TapError

if t.TYPE_CHECKING:
    import click


class TapCommand(SingerCommand):
    """The Singer command line, without tracebacks."""

    def main(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Run the command; on an error log one line and exit with code 1.

        The traceback of an unforeseen error is logged at DEBUG.
        """
        try:
            return super().main(*args, **kwargs)
        except (SettingsError, TapError) as error:
            self._end(str(error))
        except ConfigValidationError as error:
            self._end("; ".join(error.errors))
        except OSError as error:
            self._end(str(error))
        except (SingerSDKError, ValueError) as error:
            kind = type(error).__name__  # the SDK reads files with a JSON library of its own
            what = "the configuration file is no JSON" if kind == "JSONDecodeError" else kind
            self._end(f"{what}: {error}")

    def invoke(self, ctx: click.Context) -> t.Any:
        """Run it, and say so where the target ended first: Click would end without a word."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The interpreter would complain again when it flushes standard output at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._end("the target closed the pipe; see its own messages")

    def _end(self, message: str) -> t.NoReturn:
        self.logger.error(" ".join(message.split()))
        self.logger.debug("Traceback:", exc_info=sys.exc_info())
        logging.shutdown()
        sys.exit(1)
