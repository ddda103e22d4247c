"""Rows of terms from lists of terms, counted one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hybrid.index.sparse import SparseRows
from hybrid.index.sparse.postings import narrow
from hybrid.index.strings import Strings


def from_terms(documents: Sequence[Sequence[Sequence[str]]], fields: int = 1) -> SparseRows:
    """Return the rows of documents given, for each field, as a list of terms in any order."""
    counted = [[Counter(field) for field in document] for document in documents]
    spelled = {
        t: t.encode(errors="surrogatepass") for document in counted for field in document for t in field
    }
    ordered = sorted(spelled, key=spelled.__getitem__)
    number = {term: n for n, term in enumerate(ordered)}
    indptr, terms, columns = [0], [], []
    for document in counted:
        for term in sorted(set().union(*document), key=number.__getitem__):
            terms.append(number[term])
            columns.append([field[term] for field in document])
        indptr.append(len(terms))
    values = np.array(columns, np.int64).reshape(-1, fields).T
    lengths = np.array([[len(field) for field in document] for document in documents], np.int32)
    return SparseRows(
        Strings.of([spelled[term] for term in ordered]),
        np.array(indptr, np.int64),
        np.array(terms, np.int32),
        narrow(np.ascontiguousarray(values)),
        np.ascontiguousarray(lengths.reshape(-1, fields).T),
    )
