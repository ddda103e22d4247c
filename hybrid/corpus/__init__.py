"""Readers: from files, folders and installed Python packages to documents."""

from hybrid.corpus.documents import to_document
from hybrid.corpus.exchange import read_export, write_export, write_lines
from hybrid.corpus.files import Columns, Reading, ReadReport, Skipped
from hybrid.corpus.qrels import read_qrels
from hybrid.corpus.queries import read_queries
from hybrid.corpus.sources import read

__all__ = [
    "Columns", "ReadReport", "Reading", "Skipped",
    "read", "read_export", "read_qrels", "read_queries", "to_document", "write_export", "write_lines",
]  # fmt: skip
