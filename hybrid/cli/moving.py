"""The commands that copy indexes, and take documents out and in."""

from __future__ import annotations

import argparse
import sys

import hybrid
from hybrid.cli import show
from hybrid.cli.progress import progress_bars
from hybrid.corpus import write_lines


def backup(options: argparse.Namespace) -> None:
    """``hybrid backup INDEX TARGET``."""
    with hybrid.open(options.index, check_encoders=False) as index:
        generation = index.backup(options.target, link=options.link)
        show.line(
            f"{show.count(len(index), 'document')} ({show.size(index.stats().bytes)}) in {options.target}, "
            f"checked; generation {generation}"
        )


def restore(options: argparse.Namespace) -> None:
    """``hybrid restore INDEX BACKUP``."""
    generation = hybrid.restore(options.backup, options.index, overwrite=options.overwrite)
    with hybrid.open(options.index, check_encoders=False) as index:
        show.line(f"{show.count(len(index), 'document')} in {options.index}; generation {generation}")


def export(options: argparse.Namespace) -> None:
    """``hybrid export INDEX``."""
    with hybrid.open(options.index, check_encoders=False) as index:
        if options.output == "-":
            write_lines(index.exported(options.vectors), sys.stdout)
            return
        count = index.export(options.output, options.vectors)
        show.line(f"{show.count(count, 'document')} in {options.output}")


def import_(options: argparse.Namespace) -> None:
    """``hybrid import INDEX FILE``."""
    with hybrid.open(options.index, "w") as index, progress_bars() as progress:
        change = index.update if options.update else index.add
        count = change(hybrid.read_export(options.file), progress)
        show.line(f"{show.count(count, 'document')} imported; {len(index):,} in all")
        show.encoded(index)
