"""Where the commands start: a signal ends them without a traceback from here on.

The rest takes most of a second to import, so it is imported behind that.
"""

from __future__ import annotations

import os
import signal
import typing as t

_SIGNAL_EXIT = 128


def singer() -> None:
    """``tap-acumatica``."""
    _end_quietly()
    from tap_acumatica.cli.main import main  # noqa: PLC0415

    main()


def login() -> None:
    """``tap-acumatica-login``."""
    _end_quietly()
    from tap_acumatica.cli.login import login as command  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.default_int_handler)
    command()


def _end_quietly() -> None:
    """End on a signal at once: nothing is open yet, and nothing has been written."""

    def end(signum: int, frame: object) -> t.NoReturn:
        del frame
        os._exit(_SIGNAL_EXIT + signum)

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, end)
