"""Verifying and repairing an index from the command line."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import hybrid
from hybrid.cli import show
from hybrid.cli.progress import progress_bars

_MOST_IDS = 20


def verify_index(options: argparse.Namespace) -> None:
    """``hybrid verify INDEX``: raise ``CorruptIndexError`` if there is damage, once it was shown."""
    found = hybrid.verify(options.index, deep=options.deep)
    if options.json:
        show.json_line({**_plain(found), "ok": found.ok})
    else:
        for finding in found.findings:
            show.line(str(finding))
        if found.ok:
            show.line(
                f"whole: {show.count(found.documents, 'document')} in "
                f"{show.count(found.segments, 'segment')}, {show.size(found.bytes)}, "
                f"generation {found.generation}"
            )
    if not found.ok:
        raise hybrid.CorruptIndexError(
            f"{options.index} is damaged; `hybrid repair {options.index}` keeps what is whole, or restore "
            "the index from a copy"
        )


def repair_index(options: argparse.Namespace) -> None:
    """``hybrid repair INDEX``."""
    with progress_bars() as progress:
        done = hybrid.repair(options.index, progress=progress)
    if options.json:
        show.json_line(_plain(done))
        return
    for finding in done.findings:
        show.line(str(finding))
    if not done.findings:
        show.line("nothing to do")
        return
    show.line(f"{show.count(done.rebuilt, 'document')} of damaged segments built again")
    if done.lost or done.unnamed:
        names = ", ".join(done.lost[:_MOST_IDS]) + (", …" if len(done.lost) > _MOST_IDS else "")
        show.line(
            f"lost: {names or 'no document whose id could be read'}; {done.unnamed} more without a name"
        )
    if done.aside is not None:
        show.line(f"the damaged files are kept in {done.aside}; delete them when they have served")


def _plain(value: Any) -> dict[str, Any]:
    """Return a report as JSON values."""
    fields = dataclasses.asdict(value)
    return {name: str(item) if name in ("path", "aside") and item else item for name, item in fields.items()}
