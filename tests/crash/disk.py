"""What a disk may hold after the machine went down: only what was fsynced is sure.

Steps of a process (`tests.crash.tracer`) are replayed into a model of files and folders. A file's bytes are
sure once it was fsynced, a name once its folder was; everything since may have reached the disk or not, each
write for itself, the last one torn. `Disk.crashed` writes one such outcome into a real folder.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.crash.tracer import Step

Fate = Literal["nothing", "everything", "some"]
SECTOR = 512


@dataclass
class Inode:
    """A file or a folder: its changes in order, of which the first ``sure`` cannot be lost."""

    folder: bool = False
    changes: list[tuple[int, bytes | None]] = field(default_factory=list)
    sure: int = 0

    def content(self, changes: list[tuple[int, bytes | None]]) -> bytes:
        """Return the bytes after some of the changes; a change without data cuts the file at its offset."""
        found = bytearray()
        for offset, data in changes:
            if data is None:
                found = found[:offset].ljust(offset, b"\0")
            else:
                found = found.ljust(offset, b"\0")
                found[offset : offset + len(data)] = data
        return bytes(found)

    def surviving(self, fate: Fate, chosen: random.Random) -> list[tuple[int, bytes | None]]:
        """Return the changes that reached the disk."""
        sure, rest = self.changes[: self.sure], self.changes[self.sure :]
        if fate == "nothing":
            return sure
        if fate == "everything":
            return sure + rest
        kept = [change for change in rest if chosen.random() < 0.5]
        if kept and kept[-1][1]:
            offset, data = kept[-1]
            torn = chosen.randrange(len(data or b"") + 1)
            kept[-1] = (offset, (data or b"")[: torn - torn % SECTOR if chosen.random() < 0.5 else torn])
        return sure + kept


Change = tuple[str, "Inode | None"]
"""A name, and what it stands for from now on; None: it is gone."""


class Disk:
    """Files under one folder, which exists and is empty."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.names: dict[str, Inode] = {self.root: Inode(folder=True)}
        self.sure: dict[str, Inode] = dict(self.names)
        self.pending: list[list[Change]] = []

    def take(self, step: Step) -> None:
        """Replay one step that was carried out."""
        inode = self.names.get(step.path)
        match step.call:
            case "mkdir" if inode is None and os.path.dirname(step.path) in self.names:
                self._rename((step.path, Inode(folder=True)))
            case "open":
                self._open(step, inode)
            case "write" | "pwrite" if inode is not None:
                inode.changes.append((step.offset, step.data))
            case "ftruncate" if inode is not None:
                inode.changes.append((step.offset, None))
            case "fsync" | "fdatasync" if inode is not None:
                if inode.folder:
                    self._settle(step.path)
                else:
                    inode.sure = len(inode.changes)
            case "rename" if inode is not None:
                self._rename((step.path, None), (step.other, inode))
            case "link" if inode is not None:
                self._rename((step.other, inode))
            case "unlink" | "rmdir" if inode is not None:
                self._rename((step.path, None))

    def _open(self, step: Step, inode: Inode | None) -> None:
        if inode is None and step.flags & os.O_CREAT:
            self._rename((step.path, Inode()))
        elif inode is not None and step.flags & os.O_TRUNC and not step.flags & os.O_EXCL:
            inode.changes.append((0, None))

    def _rename(self, *changes: Change) -> None:
        self.pending.append([*changes])
        _apply(self.names, changes)

    def _settle(self, folder: str) -> None:
        """Make the names in a folder sure."""
        mine = [each for each in self.pending if any(os.path.dirname(name) == folder for name, _ in each)]
        for each in mine:
            _apply(self.sure, each)
            self.pending.remove(each)

    def crashed(self, target: Path, fate: Fate, chosen: random.Random) -> None:
        """Write into ``target`` what may have been on the disk if the machine had gone down now."""
        names = dict(self.sure)
        for each in self.pending:
            if fate == "everything" or (fate == "some" and chosen.random() < 0.5):
                _apply(names, each)
        for name, inode in sorted(names.items()):
            place = target / os.path.relpath(name, self.root)
            if inode.folder:
                if all(str(parent) in names for parent in self._parents(name)):
                    place.mkdir(exist_ok=True, parents=False)
            elif place.parent.is_dir():
                content = inode.content(inode.surviving(fate, chosen))
                if name.endswith("-shm"):  # mapped memory, which nobody fsyncs: anything may be there
                    content = chosen.randbytes(len(content)) if fate == "some" else b""
                place.write_bytes(content)

    def _parents(self, name: str) -> Iterator[Path]:
        return (parent for parent in Path(name).parents if str(parent).startswith(self.root))


def _apply(names: dict[str, Inode], changes: list[Change] | tuple[Change, ...]) -> None:
    for name, inode in changes:
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode
