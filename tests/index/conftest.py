"""A branch that stores one integer a document, and small stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybrid.index import DocumentRows, Store, check_documents
from hybrid.types import Document


@dataclass(frozen=True)
class IntRows:
    """The simplest branch: one int64 a document."""

    numbers: np.ndarray

    def __len__(self):
        return len(self.numbers)

    def take(self, order):
        return IntRows(self.numbers[order])

    def write(self, out, prefix):
        out.add(f"{prefix}/numbers", self.numbers)

    @classmethod
    def read(cls, segment, prefix):
        return cls(segment[f"{prefix}/numbers"])

    @classmethod
    def concat(cls, parts):
        return cls(np.concatenate([part.numbers for part in parts]))

    @classmethod
    def merge(cls, parts, prefix, order, out):
        cls.concat([cls.read(part, prefix) for part in parts]).take(order).write(out, prefix)


@pytest.fixture(scope="session")
def int_rows() -> type[IntRows]:
    return IntRows


@pytest.fixture(scope="session")
def make() -> Callable[..., Document]:
    """A document whose every field follows from its id."""
    return lambda id, **metadata: Document(
        id, text=f"text of {id}", title=f"title of {id}", metadata=metadata
    )


@pytest.fixture(scope="session")
def put() -> Callable[[Any, Iterable[Document]], None]:
    """Add documents to a transaction, with a branch ``n`` that holds the length of each id."""

    def _put(transaction, documents):
        documents = list(documents)
        check_documents(documents)
        lengths = np.array([len(document.id) for document in documents], np.int64)
        transaction.add(DocumentRows.from_documents(documents), {"n": IntRows(lengths)})

    return _put


@pytest.fixture
def store(tmp_path: Path, make, put):
    """A store of a, b, c at generation 1, open for writing."""
    with Store.create(tmp_path / "index", {"name": "test"}) as opened:
        with opened.transaction() as change:
            put(change, [make("c", year=3), make("a", year=1), make("b", year=2)])
        yield opened
