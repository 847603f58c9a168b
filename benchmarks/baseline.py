"""The minimum cost of a catalog: ``lxml`` parses the metadata, ``json`` writes the catalog.

``python -m benchmarks.baseline METADATA CATALOG OUTPUT`` prints the seconds for both, and for
writing without indentation.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from lxml import etree


def main(metadata: Path, catalog: Path, output: Path) -> None:
    """Measure once."""
    document = metadata.read_bytes()
    content = json.loads(catalog.read_bytes())
    start = time.perf_counter()
    etree.fromstring(document, etree.XMLParser(huge_tree=True))
    parsed = time.perf_counter()
    with output.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
    written = time.perf_counter()
    output.write_text(json.dumps(content), encoding="utf-8")
    compact = time.perf_counter()
    seconds = {"parse": parsed - start, "write": written - parsed, "compact": compact - written}
    print(json.dumps(seconds))  # noqa: T201


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
