"""faiss, as this package uses it."""

from __future__ import annotations

from typing import Any


def library() -> Any:
    """Return faiss, told to use no threads but the calling one.

    What runs side by side is decided in `hybrid.threads` alone; a library that took threads of its own
    besides would ask for more processors than there are, and be slower for it. (OpenMP keeps the
    setting for each thread, so this is said at every use.)
    """
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss
