"""Every error the tap raises, as one tree. Its first branch is the scope: what an error ends.

* ``TapError``
    * ``StreamError``             ends one stream; the others are read
        * ``AccessError``         no rights, not there, or refused: ``on_stream_error`` decides
            * ``NotFoundError``   nothing is there (HTTP 404)
        * ``RefusedError``        the service does not take a filter, an order or a column
        * ``BlockedError``        something between, not the service, refuses the request
        * ``ColumnsRefusedError`` it no longer knows columns that the metadata names
        * ``AnswerError``         an answer that is not one, or that contradicts an earlier one
            * ``EmptyAnswerError``  no content: Acumatica's way to refuse a filter on a formula
            * ``BrokenOffError``    rows of an answer were passed on, the rest did not arrive
            * ``BusyError``         the service was overloaded or too slow, for all tries
                * ``SlowAnswerError``  no answer in time, where a smaller page may bring one
                * ``SeatsTakenError``  no license seat is free
                    * ``SessionEndedError``  a sign-in that was accepted before is refused
        * ``PageSizeError``       a page fails, and a smaller one may not: never leaves ``reading``
        * ``PayloadError``        a body with status 200 that does not hold what was asked for
            * ``EmptyPayloadError``  an empty body
        * ``ValueMismatchError``  a value that does not fit its Edm type
        * ``IdentityError``       a key that does not tell rows apart, or is null
        * ``TimeLimitError``      the time of 'time_limit_minutes' is over
        * ``ShrunkError``         a full read with far fewer rows than the one before
        * ``BookmarkError``       a bookmark that is not a date-time
        * ``MapError``            a stream map that cannot be used, or fails on a row
        * ``BatchFileError``      a file of rows that cannot be written
        * ``UnexpectedError``     an exception that nobody foresaw
    * ``TenantError``             ends everything that is read of one tenant
        * ``SignInError``         user, password or consent refused: never tried again
        * ``AddressError``        something answers, but it is not the service that was expected
        * ``MetadataError``       the ``$metadata`` document cannot be read
        * ``TokenFileError``      the file that keeps the tokens cannot be used
        * ``NetworkSettingsError``  the environment's proxies or certificates cannot be used
        * ``UnreachableError``    no answer at all, for all tries
            * ``TokenAddressError``  the address for tokens holds something else
    * ``RunError``                ends the run
        * ``IncompleteError``     streams or tenants failed; the others are complete
        * ``OutputError``         standard output cannot be written
        * ``LoginError``          signing in with the browser did not succeed
        * ``CallbackError``       the address that the browser comes back to cannot be listened on
        * ``SettingsError``       a setting, the catalog or the state is missing or wrong
            * ``ExpandError``     an ``$expand`` expression that the metadata does not allow

``exit_code`` is what a command ends with where the error is the only one; the README lists the
codes.
"""

from __future__ import annotations

import enum
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class ExitCode(enum.IntEnum):
    """How a command ended. A signal ends it with 128 plus the signal's number."""

    DONE = 0
    FAILED = 1
    SETTINGS = 2
    TEMPORARY = 3
    SIGN_IN = 4

    @classmethod
    def of_all(cls, codes: Iterable[ExitCode]) -> ExitCode:
        """The code for several failures: their common one, or ``FAILED`` where they differ."""
        found = set(codes)
        return found.pop() if len(found) == 1 else cls.FAILED


class TapError(Exception):
    """Base of all errors; the message is one line: what failed, the likely cause, what to set."""

    exit_code: ExitCode = ExitCode.FAILED


class StreamError(TapError):
    """One stream cannot be read; the run goes on with the others."""


class AccessError(StreamError):
    """The user may not read the stream, or it is not there."""


class NotFoundError(AccessError):
    """Nothing is there, or it is hidden from the user: HTTP 404."""


class RefusedError(StreamError):
    """The service does not take the request: a filter, an order, a column, an expansion."""


class BlockedError(StreamError):
    """A proxy, a filter or a gateway refuses the request: it says nothing about the service."""


class ColumnsRefusedError(StreamError):
    """The service does not give columns that were asked for by name.

    Attributes:
        names: The columns.
    """

    def __init__(self, names: Sequence[str], message: str = "") -> None:
        """Name the columns.

        Args:
            names: The columns.
            message: What the service said.
        """
        super().__init__(message or f"the service does not give {', '.join(names)}")
        self.names = tuple(names)


class AnswerError(StreamError):
    """The service sent something that cannot be taken as an answer."""


class TimeLimitError(StreamError):
    """The time that the run may take is over; the next one goes on."""

    exit_code = ExitCode.TEMPORARY


class ShrunkError(StreamError):
    """A full read holds so many fewer rows than the last one that the others are not given up."""


class EmptyAnswerError(AnswerError):
    """Status 200 and an empty body, repeatedly."""


class BrokenOffError(AnswerError):
    """An answer ended in its middle, after rows of it were passed on."""


class BusyError(AnswerError):
    """The service was overloaded or too slow, for all tries."""

    exit_code = ExitCode.TEMPORARY


class SlowAnswerError(BusyError):
    """The answer did not come in time; a smaller page may."""


class SeatsTakenError(BusyError):
    """All license seats are taken; the next stream may find one free.

    Attributes:
        wait: Seconds the service asked to wait.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class SessionEndedError(SeatsTakenError):
    """A sign-in that was accepted before is refused now, most likely for lack of a seat."""


class PageSizeError(StreamError):
    """A page fails, while the same page with few rows is answered.

    Attributes:
        error: What it means where no smaller page can be asked for.
        limits: Numbers that the service names as the most rows it gives.
    """

    def __init__(self, message: str, error: TapError, limits: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.error = error
        self.limits = limits


class PayloadError(StreamError):
    """A successful status whose body is not the promised collection or entity."""


class EmptyPayloadError(PayloadError):
    """A successful status with an empty body."""


class ValueMismatchError(StreamError):
    """A value that does not fit its Edm type."""


class IdentityError(StreamError):
    """Rows that cannot be told apart: their key is not unique, or null where it must not be."""


class BookmarkError(StreamError):
    """The state holds something other than a date-time."""

    exit_code = ExitCode.SETTINGS


class MapError(StreamError):
    """A stream map that cannot be used, or that fails on a row."""


class BatchFileError(StreamError):
    """A BATCH file that cannot be written."""


class UnexpectedError(StreamError):
    """An exception that nobody foresaw."""


class TenantError(TapError):
    """Nothing more can be read of one tenant; the run goes on with the others."""


class SignInError(TenantError):
    """The credentials were refused."""

    exit_code = ExitCode.SIGN_IN


class AddressError(TenantError):
    """The address is not that of the service that was expected."""


class MetadataError(TenantError):
    """The metadata document is not CSDL."""


class TokenFileError(TenantError):
    """The file that keeps the tokens cannot be read, locked or written."""

    exit_code = ExitCode.SETTINGS


class NetworkSettingsError(TenantError):
    """What the environment says of proxies or trusted certificates cannot be used."""

    exit_code = ExitCode.SETTINGS


class UnreachableError(TenantError):
    """The site gave no usable answer."""

    exit_code = ExitCode.TEMPORARY


class TokenAddressError(UnreachableError):
    """The address for tokens, as it is set, is not that of an identity server."""

    exit_code = ExitCode.SETTINGS


class RunError(TapError):
    """The run cannot go on."""


class IncompleteError(RunError):
    """Streams or tenants could not be read; all others are complete."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class OutputError(RunError):
    """Standard output cannot be written: the target ended, or the disk is full."""


class LoginError(RunError):
    """Signing in with the browser did not succeed."""

    exit_code = ExitCode.SIGN_IN


class CallbackError(RunError):
    """The address that the browser comes back to cannot be listened on."""


class SettingsError(RunError):
    """A setting is missing or wrong; the message names it and says what is allowed."""

    exit_code = ExitCode.SETTINGS


class ExpandError(SettingsError):
    """An ``$expand`` expression that the metadata does not allow."""
