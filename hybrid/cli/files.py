"""What ``hybrid sync`` does."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hybrid
from hybrid.cli import show
from hybrid.cli.progress import progress_bars
from hybrid.engine import open_or_create
from hybrid.errors import InputError

_SHOWN = 20


def sync_folder(options: argparse.Namespace) -> None:
    """``hybrid sync INDEX FOLDER``."""
    if options.watch and options.dry_run:
        raise InputError("--watch and --dry-run were both given; give one")
    if options.interval is not None and not options.watch:
        raise InputError("--interval was given without --watch; give both, or neither")
    pipeline = None if options.recipe is None else hybrid.read_recipe(options.recipe)
    chosen: dict[str, Any] = {
        "include": options.include,
        "exclude": options.exclude,
        "hidden": options.hidden,
        "gitignore": not options.no_gitignore,
        "verify": options.verify_contents,
        "allow_empty": options.allow_empty,
    }
    report = _as_json if options.json else _as_text
    if options.watch:
        _watch(options, pipeline, chosen, report)
        return
    with progress_bars() as progress:
        done = hybrid.sync(
            options.index,
            options.folder,
            options.name,
            pipeline,
            dry_run=options.dry_run,
            progress=progress,
            **chosen,
        )
    report(done)


def _watch(
    options: argparse.Namespace,
    pipeline: hybrid.Pipeline | None,
    chosen: dict[str, Any],
    report: Callable[[hybrid.SyncReport], None],
) -> None:
    """Sync until Ctrl-C, which is how watching ends: what is not committed then is left to the next sync."""
    with _until_interrupted(), open_or_create(options.index, pipeline) as index:
        for done in hybrid.watch(index, options.folder, options.name, interval=options.interval, **chosen):
            report(done)
            if not options.json:
                show.line("watching; Ctrl-C ends it")


@contextmanager
def _until_interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        show.line("stopped")


def _as_json(done: hybrid.SyncReport) -> None:
    show.line(json.dumps(dataclasses.asdict(done), ensure_ascii=False))
    show.flush()


def _as_text(done: hybrid.SyncReport) -> None:
    _paths("would add" if done.dry_run else "added", done.added)
    _paths("would update" if done.dry_run else "updated", done.updated)
    _paths("would rename" if done.dry_run else "renamed", [f"{old} -> {new}" for old, new in done.renamed])
    _paths("would remove" if done.dry_run else "removed", done.removed)
    show.skipped(done.skipped)
    counts = {
        "added": len(done.added),
        "updated": len(done.updated),
        "renamed": len(done.renamed),
        "removed": len(done.removed),
        "unchanged": done.unchanged,
        "not read": len(done.skipped),
    }
    said = ", ".join(f"{number:,} {what}" for what, number in counts.items())
    written = "" if done.dry_run else f"; {show.count(done.documents, 'document')} written"
    show.line(f"{'would be: ' if done.dry_run else ''}{said}{written}")
    show.flush()


def _paths(what: str, paths: Any) -> None:
    for path in paths[:_SHOWN]:
        show.line(f"{what}: {show.printable(path)}")
    if len(paths) > _SHOWN:
        show.line(f"{what}: {len(paths) - _SHOWN:,} more")
