"""What a run asks for, compared with the least that it could ask for.

The least is one request for each stream that has no news, and one for each page of the others. The
requests are counted by a proxy, so that nothing the tap says about itself counts.
"""

from __future__ import annotations

import json
import logging
import typing as t
from collections import Counter
from dataclasses import dataclass
from urllib.parse import quote

import requests

from benchmarks.process import BenchmarkError, measure
from benchmarks.proxy import Asked, Kind, by_name, counting, counts
from benchmarks.results import Findings, Options, Result
from benchmarks.taps import site_command, write_json
from demo.sandbox import PASSWORD, USERNAME, RunningSandbox, sandbox

if t.TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

INTERFACES = ("dac", "gi")
PAGE = 2000
"""The tap's own ``page_size``."""

_FEW = 10
_SECONDS = 60
_METHOD = (
    "Requests: one tenant of the sandbox, all streams that need no parameters. The least is one "
    f"request per page of {PAGE:,} rows, and one for a stream that has a tracking field and no "
    "news. All requests of the run count, the goal is 1.15 times the least plus 5."
)
_FIRST, _AGAIN = "first load", "nothing changed"


@dataclass(frozen=True)
class Stream:
    """A stream, and what there is to read of it.

    Attributes:
        name: Its name.
        entity_set: The entity set or inquiry that it reads.
        tracked: Whether a later run reads only what changed.
        rows: Number of rows at the source.
    """

    name: str
    entity_set: str
    tracked: bool
    rows: int

    def floor(self, *, changed: bool) -> int:
        """The fewest requests that read it, where all or none of its rows are new."""
        return max(1, -(-self.rows // PAGE)) if changed or not self.tracked else 1


@dataclass(frozen=True)
class Run:
    """What one run of the tap asked for.

    Attributes:
        what: Whether it was the first load, or one in which nothing had changed.
        streams: The streams that it read.
        asked: Its requests.
    """

    what: str
    streams: list[Stream]
    asked: list[Asked]

    def floor_of(self, stream: Stream) -> int:
        """The fewest requests that read a stream."""
        return stream.floor(changed=self.what == _FIRST)

    @property
    def floor(self) -> int:
        """The fewest requests that read all streams."""
        return sum(map(self.floor_of, self.streams))

    @property
    def goal(self) -> int:
        """The most requests that the run may take, with metadata and sign-out."""
        return self.floor * 115 // 100 + 5

    def breakdown(self) -> list[str]:
        """Which streams took more than they must, and each of their requests."""
        asked, lines = by_name(self.asked), []
        for stream in self.streams:
            found, least = asked.pop(stream.entity_set, []), self.floor_of(stream)
            if len(found) > least:
                lines.append(f"{stream.name}, {stream.rows:,} rows: {len(found)} for {least}")
                lines += [f"  {_answered(one)}{purpose(one)}: {one}" for one in found]
        for name, found in asked.items():
            lines.append(f"{name}, no stream: {len(found)}")
            lines += [f"  {_answered(one)}{purpose(one)}: {one}" for one in found]
        return lines

    def summary(self) -> str:
        """The requests by what they ask for."""
        found = counts(self.asked)
        purposes = Counter(purpose(one) for one in self.asked if one.kind is Kind.ROWS)
        rows = ", ".join(f"{name}: {number}" for name, number in purposes.most_common())
        others = ", ".join(
            f"{kind.value}: {number}"
            for kind, number in found.items()
            if kind is not Kind.ROWS and number
        )
        return f"{found[Kind.ROWS]} for rows ({rows}), {others}"


def purpose(asked: Asked) -> str:
    """What a request for rows is for, by its form.

    Returns:
        ``page``, or ``group`` if it is one of rows that share a value; ``null`` for the rows
        without a value; ``reverse`` for the last rows, or ``other side`` for the last ones up to a
        value; ``position`` for a few rows at a position, and ``few rows`` for others.
    """
    options = asked.options
    top, terms = options.get("$top", ""), options.get("$filter", "")
    few = top.isdecimal() and int(top) <= _FEW
    if terms.endswith(" eq null"):
        return "null"
    if " desc" in options.get("$orderby", ""):
        return "other side" if " le " in terms else "reverse"
    if few:
        return "position" if "$skip" in options else "few rows"
    return "group" if " eq " in terms or " lt " in terms else "page"


def floor(options: Options, folder: Path) -> Findings:
    """Requests of a first load, and of a run in which nothing has changed."""
    findings = Findings(notes=[_METHOD])
    # By default 20,000, so that tables of one page and of many are read.
    rows = options.share(1, 25)
    with sandbox(folder, rows) as site:
        settings = {**site.config(), "tenants": site.config()["tenants"][:1]}
        for interface in INTERFACES:
            place = folder / interface
            place.mkdir()
            reading = _Reading(site, {**settings, "interface": interface}, place)
            for number in range(options.runs):
                for run in reading.twice():
                    reading.keep(run)
                    if not number:
                        for line in run.breakdown():
                            logger.info("  %s, %s: %s", interface, run.what, line)
                    logger.info(
                        "  %d/%d %s, %s: %d requests for %d",
                        number + 1,
                        options.runs,
                        interface,
                        run.what,
                        len(run.asked),
                        run.floor,
                    )
            findings.results += reading.results()
            findings.notes += reading.notes()
    return findings


class _Reading:
    """Reads an interface of the sandbox, and counts."""

    def __init__(self, site: RunningSandbox, settings: t.Mapping[str, t.Any], folder: Path) -> None:
        self._site = site
        self._settings = settings
        self._folder = folder
        self._interface = settings["interface"]
        self._root = f"/t/{settings['tenants'][0]}/api/odata/{self._interface}"
        self._runs: dict[str, list[Run]] = {_FIRST: [], _AGAIN: []}
        self._catalog = folder / "catalog.json"
        measure([*self._command(site.url), "--discover"], keep=self._catalog)
        self._streams = self._count()

    def twice(self) -> t.Iterator[Run]:
        """A first load, and a second run with its state.

        A proxy of their own has a URL of its own: nothing that earlier runs may have kept of a
        service is about this one.
        """
        with counting(self._site.url, self._root) as proxy:
            command = [*self._command(proxy.url), "--catalog", str(self._catalog)]
            output = self._folder / "output"
            measure(command, keep=output)
            yield Run(_FIRST, self._streams, proxy.take())
            state = self._state(output)
            measure([*command, "--state", write_json(state, self._folder, "state")])
            yield Run(_AGAIN, self._streams, proxy.take())

    def keep(self, run: Run) -> None:
        """Keep a run for the results."""
        self._runs[run.what].append(run)

    def results(self) -> list[Result]:
        """Requests, and their ratio to the least, of each kind of run."""
        results = []
        for what, runs in self._runs.items():
            least, goal = runs[0].floor, runs[0].goal
            taken = [float(len(run.asked)) for run in runs]
            name = f"{self._interface}, {what}: requests, the least being {least}"
            results += [
                Result(name, taken, at_most=goal, unit="requests", digits=0),
                Result("the same, relative to the least", [value / least for value in taken]),
            ]
        return results

    def notes(self) -> list[str]:
        """What the requests of one run of each kind asked for."""
        return [
            f"{self._interface}, {what}: {runs[0].summary()}." for what, runs in self._runs.items()
        ]

    def _command(self, url: str) -> list[str]:
        return site_command({**self._settings, "url": url}, self._folder)

    def _count(self) -> list[Stream]:
        """The selected streams, with the number of their rows as the sandbox itself gives it."""
        streams = []
        with requests.Session() as session:
            session.auth = (USERNAME, PASSWORD)
            for entry in json.loads(self._catalog.read_bytes())["streams"]:
                found = next(m["metadata"] for m in entry["metadata"] if not m["breadcrumb"])
                if not found["selected"]:
                    continue
                name = found["entity-set"]
                url = f"{self._site.url}{quote(self._root)}/{quote(name)}"
                answer = session.get(url, timeout=_SECONDS)
                if not answer.ok:
                    raise BenchmarkError(f"the sandbox refused {name}: {answer.text}")
                # A singleton is a row by itself.
                rows = len(answer.json().get("value", "1"))
                tracked = entry["replication_method"] == "INCREMENTAL"
                streams.append(Stream(entry["tap_stream_id"], name, tracked, rows))
        return streams

    def _state(self, output: Path) -> t.Any:
        """The last state, once it is certain that no row is missing."""
        written: Counter[str] = Counter()
        state = None
        with output.open("rb") as lines:
            for line in lines:
                message = json.loads(line)
                if message["type"] == "RECORD":
                    written[message["stream"]] += 1
                elif message["type"] == "STATE":
                    state = message["value"]
        for stream in self._streams:
            if written[stream.name] < stream.rows:
                raise BenchmarkError(
                    f"{written[stream.name]} of {stream.rows} rows of {stream.name} were read"
                )
        return state


def _answered(asked: Asked) -> str:
    return "" if asked.status == requests.codes.ok else f"{asked.status} "
