"""What a sync has to do: a folder as it is, beside what the index holds of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hybrid.corpus.files import FoundFile, ReadReport, Selection, Skipped, digest_of, reason, walk
from hybrid.engine.syncing.indexed import Indexed, Memory
from hybrid.errors import CorpusError

KEPT = "; what was indexed of it before is kept"


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did, or with ``dry_run`` would do: paths relative to the folder.

    ``added``, ``updated``, ``removed``: files; ``renamed``: pairs of the old and the new path; ``unchanged``:
    how many files were; ``skipped``: what was not read, and why; ``documents``: how many were written.
    """

    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: int = 0
    skipped: tuple[Skipped, ...] = ()
    documents: int = 0
    dry_run: bool = False

    @property
    def changed(self) -> bool:
        """Whether the index was changed, or would be."""
        return bool(self.added or self.updated or self.renamed or self.removed)


@dataclass(slots=True)
class Plan:
    """What is to be done, and what was seen on the way.

    ``fresh``: files to read, with their digests; ``same``: files that need not be, but were digested, with
    why they cannot be read; ``gone``: paths to remove; ``renamed``: for a fresh path, the gone one of that
    content.
    """

    fresh: list[tuple[FoundFile, str]] = field(default_factory=list)
    same: list[tuple[FoundFile, str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0
    report: ReadReport = field(default_factory=ReadReport)


def plan_sync(
    root: Path,
    select: Selection,
    indexed: Mapping[str, Indexed],
    memory: Memory | None,
    *,
    verify: bool,
    allow_empty: bool,
) -> Plan:
    """Compare a folder with what is in the index; files that look as they did last are not opened.

    ``verify``: open them all the same. What cannot be read now keeps what is in the index of it.

    Raises:
        CorpusError: the folder cannot be listed; or it holds nothing, where the index holds files of it, and
            ``allow_empty`` is not set.
    """
    plan = Plan()
    present: set[str] = set()
    for file in walk(root, select, plan.report):
        present.add(file.name)
        _place(plan, file, indexed.get(file.name), memory, verify)
    if indexed and not present and not plan.report.skipped and not allow_empty:
        raise CorpusError(
            f"{root} holds no file that can be read, and the index has {len(indexed):,} of it: is it "
            "mounted? To remove them from the index all the same, pass allow_empty=True (--allow-empty)"
        )
    unread = {skipped.path for skipped in plan.report.skipped}
    shut = tuple(path for path in unread if path.endswith("/"))
    plan.report.skipped = [
        Skipped(each.path, each.reason + KEPT * _holds(indexed, each.path)) for each in plan.report.skipped
    ]
    lost = [path for path in indexed if path not in present and path not in unread]
    plan.gone = [path for path in lost if not path.startswith(shut)] if shut else lost
    _pair(plan, indexed)
    return plan


def planned(plan: Plan, indexed: Mapping[str, Indexed]) -> SyncReport:
    """Return what a plan would do; files that turn out to be unreadable are among those that it reads."""
    fresh = [file.name for file, _ in plan.fresh if file.name not in plan.renamed]
    return SyncReport(
        added=tuple(name for name in fresh if name not in indexed),
        updated=tuple(name for name in fresh if name in indexed),
        renamed=tuple((old, new) for new, old in plan.renamed.items()),
        removed=tuple(path for path in plan.gone if path not in set(plan.renamed.values())),
        unchanged=plan.unchanged,
        skipped=tuple(plan.report.skipped),
        dry_run=True,
    )


def _place(plan: Plan, file: FoundFile, before: Indexed | None, memory: Memory | None, verify: bool) -> None:
    """Find out whether a file must be read."""
    look = memory.get(file.name) if memory is not None else None
    known = look is not None and look.still(file) and not verify
    try:
        digest = look.digest if look is not None and known else digest_of(file)
    except OSError as error:
        plan.report.skip(file.name, reason(error))
        return
    if before is not None and before.digest == digest and before.whole:
        plan.unchanged += 1
        if not known:
            plan.same.append((file, digest, ""))
    elif look is not None and look.digest == digest and look.reason:
        plan.report.skip(file.name, look.reason)
        if not known:
            plan.same.append((file, digest, look.reason))
    else:
        plan.fresh.append((file, digest))


def _holds(indexed: Mapping[str, Indexed], path: str) -> bool:
    return path in indexed or (path.endswith("/") and any(name.startswith(path) for name in indexed))


def _pair(plan: Plan, indexed: Mapping[str, Indexed]) -> None:
    """Find the gone files that are there under another path."""
    by_digest: dict[str, list[str]] = {}
    for path in sorted(plan.gone, reverse=True):
        by_digest.setdefault(indexed[path].digest, []).append(path)
    for file, digest in plan.fresh:
        if file.name not in indexed and by_digest.get(digest):
            plan.renamed[file.name] = by_digest[digest].pop()
