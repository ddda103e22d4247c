"""Files as the storage needs them: mapped into memory, and durable under their names."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

SMALL = 1 << 20
"""Files of up to so many bytes are read into memory instead of being mapped."""


def map_file(path: Path) -> mmap.mmap | bytes:
    """Return a file's content: mapped read-only, in memory of its own if it is small.

    Every mapping of a file keeps a file descriptor, of which a process has few; an index of many
    small commits would use them up. An empty file gives empty bytes.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return b""
        if size > SMALL:
            return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        memory = mmap.mmap(-1, size)  # aligned like a mapped file
        return memory if file.readinto(memory) == size else b""


def sync_folder(folder: Path) -> None:
    """Make the names of files in a folder durable, where the system can."""
    if os.name == "nt":  # Windows cannot fsync a folder, and makes renames durable by itself
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
