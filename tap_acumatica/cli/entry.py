"""Where the commands start: a signal ends them without a traceback from here on.

The rest takes most of a second to import, so it is imported behind that.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNAL_EXIT = 128
_ARENA_MAX = -8


def singer() -> None:
    """``tap-acumatica``."""
    _end_quietly()
    _keep_one_arena()
    gc.disable()  # modules are not garbage, neither now nor at the end
    with _without_numpy():
        from tap_acumatica.cli.main import main  # noqa: PLC0415
    gc.freeze()
    gc.enable()
    try:
        main()
    finally:
        gc.freeze()


def login() -> None:
    """``tap-acumatica-login``."""
    _end_quietly()
    from tap_acumatica.cli.login import login as command  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.default_int_handler)
    command()


def _keep_one_arena() -> None:
    """Have all threads take memory from one place, where the C library is glibc.

    By default each has its own, and what one thread frees of it another cannot use: memory then
    grows with the pages that were read. See mallopt(3).
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


@contextlib.contextmanager
def _without_numpy() -> Iterator[None]:
    """Keep the SDK from loading numpy: what its targets load records with takes it if it can.

    A tap has no use for it, and it costs 20 MiB and a sixth of the start. Who needs it later, such
    as Parquet files, imports it then.
    """
    if "numpy" in sys.modules:
        yield
        return
    sys.modules["numpy"] = None  # type: ignore[assignment]  # as for a module that is not there
    try:
        yield
    finally:
        del sys.modules["numpy"]


def _end_quietly() -> None:
    """End on a signal at once: nothing is open yet, and nothing has been written."""

    def end(signum: int, frame: object) -> t.NoReturn:
        del frame
        os._exit(_SIGNAL_EXIT + signum)

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, end)
