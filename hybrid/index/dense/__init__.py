"""Dense vectors of documents, and the ways to search them."""

from hybrid.index.dense.kinds import (
    EXACT,
    HNSW,
    INDEXES,
    IVF,
    PQ,
    SQ8,
    Binary,
    Flat,
    Form,
    Index,
    RaBitQ,
    Scan,
    Tiered,
    as_index,
    spelt,
)
from hybrid.index.dense.rows import DenseRows
from hybrid.index.dense.scorer import DenseScorer
from hybrid.index.dense.stored import Stored
from hybrid.index.dense.vectors import LONGEST, STORAGES, Storage, Vectors

__all__ = [
    "EXACT",
    "HNSW",
    "INDEXES",
    "IVF",
    "LONGEST",
    "PQ",
    "SQ8",
    "STORAGES",
    "Binary",
    "DenseRows",
    "DenseScorer",
    "Flat",
    "Form",
    "Index",
    "RaBitQ",
    "Scan",
    "Storage",
    "Stored",
    "Tiered",
    "Vectors",
    "as_index",
    "spelt",
]
