"""Arrays that grow: in memory while they are small, in an unnamed file when they are not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hybrid.errors import StorageError

_PIECE = 1 << 22


class Spool:
    """One array of a known dtype, written in pieces and read again in pieces; a context manager.

    The file has no name, so nothing is left behind however the process ends.
    """

    def __init__(self, folder: Path, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.count = 0
        self._folder = folder
        self._file = tempfile.SpooledTemporaryFile(_PIECE, dir=str(folder))  # noqa: SIM115 - see __exit__

    def add(self, values: NDArray[Any]) -> None:
        """Append values, cast to the dtype."""
        data = np.ascontiguousarray(values, self.dtype).reshape(-1).view(np.uint8).data
        with self._translated():
            self._file.write(data)
        self.count += len(values)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        with self._translated():
            self._file.seek(0)  # which writes what is still in a buffer
        while piece := self._piece():
            yield np.frombuffer(piece, self.dtype)

    def _piece(self) -> bytes:
        with self._translated():
            return self._file.read(_PIECE)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot write in {self._folder}: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
