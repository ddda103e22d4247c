"""What experiments on several sets share: their options, and an index of each set."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import hybrid

HERE = Path(__file__).resolve().parent


def parser(about: str | None, sets: Sequence[str], results: str) -> argparse.ArgumentParser:
    """Return a parser of --data, --indexes, --sets and --output, which is a file in eval/results."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    made.add_argument("--indexes", type=Path, help="a folder of indexes by set, to be reused")
    made.add_argument("--sets", nargs="+", default=sets)
    made.add_argument("-o", "--output", type=Path, default=HERE / "results" / results)
    return made


def opened(
    options: argparse.Namespace, pipeline: Callable[[str], hybrid.Pipeline] | None = None
) -> Iterator[tuple[str, hybrid.HybridIndex, Path]]:
    """Yield each set's name, its index, open, and its folder; indexes that are not there are made.

    ``pipeline`` gives that of a set; the default one if it is not given.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in options.sets:
            path = (options.indexes or Path(folder)) / name.replace("/", "-")
            if not path.exists():
                documents = hybrid.read(options.data / name)
                hybrid.create(path, documents, pipeline(name) if pipeline else None).close()
            with hybrid.open(path) as index:
                yield name, index, options.data / name
