"""A folder and its index, from the first sync to watching for changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from hybrid.corpus.files import Selection
from hybrid.engine.index import HybridIndex
from hybrid.engine.opening import create, open
from hybrid.engine.syncing import SyncReport, checked_root, plan_sync, planned, source_name
from hybrid.errors import InputError
from hybrid.index.catalog import CATALOG
from hybrid.pipeline import Pipeline
from hybrid.types import Progress

_TIMEOUT = 10_000  # milliseconds
INTERVAL = 2.0
"""How many seconds lie between two looks, where the system's messages are not used."""


def sync(
    path: str | Path,
    folder: str | Path,
    name: str | None = None,
    pipeline: Pipeline | None = None,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hidden: bool = False,
    gitignore: bool = True,
    verify: bool = False,
    dry_run: bool = False,
    allow_empty: bool = False,
    progress: Progress | None = None,
) -> SyncReport:
    """Make the index at ``path`` hold a folder's files as they are now; it is created if there is none.

    ``pipeline`` is that of a new index (the embedded default without it), or replaces the stored one for this
    session. Everything else is as for `HybridIndex.sync`.

    Raises:
        CorpusError, PipelineError, IndexLockedError, …: as `HybridIndex.sync`, `create` and `open`.
    """
    select = Selection(include, exclude, hidden, gitignore)
    root, source = checked_root(folder), source_name(folder, name)
    fresh = not (Path(path) / CATALOG).exists()
    if fresh and dry_run:
        return planned(plan_sync(root, select, {}, None, verify=verify, allow_empty=True), {})
    with open_or_create(path, pipeline, "r" if dry_run else "w") as index:
        return index.sync(
            root,
            source,
            include=include,
            exclude=exclude,
            hidden=hidden,
            gitignore=gitignore,
            verify=verify,
            dry_run=dry_run,
            allow_empty=allow_empty,
            progress=progress,
        )


def open_or_create(path: str | Path, pipeline: Pipeline | None, mode: Literal["r", "w"] = "w") -> HybridIndex:
    """Open the index at ``path``, or create an empty one; models are loaded when they are first needed."""
    if (Path(path) / CATALOG).exists():
        return open(path, mode, pipeline, check_encoders=False)
    return create(path, [], pipeline)


def watch(
    index: HybridIndex,
    folder: str | Path,
    name: str | None = None,
    *,
    interval: float | None = None,
    stop: threading.Event | None = None,
    **options: Any,
) -> Iterator[SyncReport]:
    """Sync a folder now and after every change; yield the first report, and each that says of a change.

    With the package watchfiles (the extra ``watch``) the system tells of changes; without it, or with an
    ``interval`` in seconds, the folder is looked at again and again. It ends when ``stop`` is set, or with
    the iterator. ``options``: as for `HybridIndex.sync`.

    Raises:
        InputError: the interval is no positive number.
    """
    if interval is not None and not (isinstance(interval, int | float) and interval > 0):
        raise InputError(f"interval is {interval!r}; give a number of seconds above 0")
    root, stopped = checked_root(folder), stop or threading.Event()
    said: tuple[object, ...] = ()
    for number, _ in enumerate(_moments(root, interval, stopped)):
        report = index.sync(root, name, **options)
        if number == 0 or report.changed or report.skipped != said:
            yield report
        said = report.skipped


def _moments(root: Path, interval: float | None, stopped: threading.Event) -> Iterator[None]:
    """Yield at once, and whenever something may have changed."""
    try:
        import watchfiles
    except ImportError:
        watchfiles = None  # type: ignore[assignment]
    yield
    if watchfiles is None or interval is not None:
        while not stopped.wait(interval or INTERVAL):
            yield
        return
    # a change that comes between the look and the watching is found at the next timeout
    for _ in watchfiles.watch(
        root,
        stop_event=stopped,
        watch_filter=None,
        yield_on_timeout=True,
        rust_timeout=_TIMEOUT,
        raise_interrupt=True,
    ):
        if not stopped.is_set():
            yield
