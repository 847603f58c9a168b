"""The table of named faults, and when each of them acts.

A fault is a function that returns a hook, or the values of habits where a habit already does it.
Its name, with hyphens, is the fault's name; its argument has a default; and the first line of its
documentation is what `--spoil list` says.
"""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_acumatica.sandbox.exchange import Reply, Request, Spoil
    from tap_acumatica.sandbox.habits import Habits

Made: TypeAlias = "Spoil | Mapping[str, Any]"
FaultFunction = TypeVar("FaultFunction", bound="Callable[..., Made]")

NAMED: dict[str, Callable[..., Made]] = {}
"""All faults by name."""


class FaultError(ValueError):
    """There is no such fault, or it does not take this argument."""


def named(function: FaultFunction) -> FaultFunction:
    """Add a fault to the table."""
    NAMED[function.__name__.replace("_", "-")] = function
    return function


def make(text: str) -> Made:
    """Return the fault that a text describes: `NAME[=ARGUMENT][@WHEN[,WHEN...]]`.

    `WHEN` is `once`, `first=N`, `from=N`, `every=N` or `only=ENTITY_SET`. The numbers count the
    requests that the fault sees, which are those for that entity set if one is given.

    Raises:
        FaultError: if there is no such fault, or it does not take this argument.
    """
    described, _, when = text.partition("@")
    name, equals, argument = described.partition("=")
    if name not in NAMED:
        near = difflib.get_close_matches(name, NAMED, 1)
        advice = f"did you mean '{near[0]}'?" if near else "'list' prints all of them"
        msg = f"there is no fault '{name}'; {advice}"
        raise FaultError(msg)
    function = NAMED[name]
    parameters = list(inspect.signature(function).parameters.values())
    if equals and not parameters:
        msg = f"the fault '{name}' takes no argument, so not '{argument}'"
        raise FaultError(msg)
    if not equals:
        made = function()
    elif isinstance(parameters[0].default, int):
        made = function(_whole_number(name, argument))
    else:
        made = _made(function, name, argument)
    if when and not callable(made):
        msg = f"the fault '{name}' is there all the time: it takes no '@{when}'"
        raise FaultError(msg)
    return _limited(made, when) if callable(made) else made


def prepare(texts: Iterable[str], habits: Habits) -> Spoil | None:
    """Return one hook for all these faults, and set the habits that some of them are.

    Raises:
        FaultError: if there is no such fault, or it does not take its argument.
    """
    spoils = []
    for text in texts:
        made = make(text)
        if callable(made):
            spoils.append(made)
        else:
            for name, value in made.items():
                setattr(habits, name, value)
    return together(*spoils) if spoils else None


def listed() -> list[str]:
    """Return one line for each fault: name, default of its argument, what it does."""
    found = []
    for name, function in NAMED.items():
        default = [f"={p.default}" for p in inspect.signature(function).parameters.values()]
        line = (inspect.getdoc(function) or "").partition("\n")[0]
        found.append(f"{name + ''.join(default):27} {line}")
    return found


# When a fault acts


def together(*spoils: Spoil) -> Spoil:
    """Return a hook that calls these in turn."""

    def spoil(request: Request, reply: Reply) -> None:
        for each in spoils:
            each(request, reply)

    return spoil


def when(applies: Callable[[int], bool], spoil: Spoil) -> Spoil:
    """Return a hook that acts on requests by their number, from 1."""
    seen = 0

    def counting(request: Request, reply: Reply) -> None:
        nonlocal seen
        seen += 1
        if applies(seen):
            spoil(request, reply)

    return counting


def first(count: int, spoil: Spoil) -> Spoil:
    """Return a hook that acts on the first requests."""
    return when(lambda number: number <= count, spoil)


def once(spoil: Spoil) -> Spoil:
    """Return a hook that acts on the first request."""
    return first(1, spoil)


def from_nth(start: int, spoil: Spoil) -> Spoil:
    """Return a hook that acts from that request on."""
    return when(lambda number: number >= start, spoil)


def every(step: int, spoil: Spoil) -> Spoil:
    """Return a hook that acts on every so many requests."""
    return when(lambda number: number % step == 0, spoil)


def only(entity_set: str, spoil: Spoil) -> Spoil:
    """Return a hook that acts on requests for the rows of one entity set, by any of its names."""

    def limited(request: Request, reply: Reply) -> None:
        if request.number and entity_set in {request.entity_set, request.entity}:
            spoil(request, reply)

    return limited


_COUNTED: dict[str, Callable[[int, Spoil], Spoil]] = {
    "first": first,
    "from": from_nth,
    "every": every,
}


def _limited(spoil: Spoil, when: str) -> Spoil:
    names = []
    for item in filter(None, when.split(",")):
        name, _, value = item.partition("=")
        if name == "only" and value:
            names.append(value)
        elif item == "once":
            spoil = once(spoil)
        elif name in _COUNTED:
            spoil = _COUNTED[name](_whole_number(name, value, least=1), spoil)
        else:
            msg = f"'{item}' must be once, first=N, from=N, every=N or only=ENTITY_SET"
            raise FaultError(msg)
    # Others are not counted.
    for name in names:
        spoil = only(name, spoil)
    return spoil


def _made(function: Callable[..., Made], name: str, argument: str) -> Made:
    try:
        return function(argument)
    except ValueError as error:
        msg = f"the fault '{name}' does not take '{argument}'"
        raise FaultError(msg) from error


def _whole_number(name: str, text: str, least: int = 0) -> int:
    if not text.isdecimal() or int(text) < least:
        msg = f"'{name}' must be followed by a whole number from {least}, not '{text}'"
        raise FaultError(msg)
    return int(text)
