"""The index on disk: one folder, immutable segments, one catalogue, one atomic commit."""

from hybrid.index.catalog import FORMAT_VERSION
from hybrid.index.cloning import clone_folder
from hybrid.index.documents import DocumentRows, check_documents
from hybrid.index.filters import parse_filter
from hybrid.index.moving import copy_index
from hybrid.index.rows import HeldRows, Merging, Rows, RowType
from hybrid.index.segment import Segment, SegmentInfo, SegmentWriter
from hybrid.index.snapshot import Mask, SegmentView, Snapshot
from hybrid.index.store import Store
from hybrid.index.tiers import MergePolicy
from hybrid.index.transaction import Transaction

__all__ = [
    "FORMAT_VERSION",
    "DocumentRows",
    "Mask",
    "MergePolicy",
    "HeldRows",
    "Merging",
    "RowType",
    "Rows",
    "Segment",
    "SegmentInfo",
    "SegmentView",
    "SegmentWriter",
    "Snapshot",
    "Store",
    "Transaction",
    "check_documents",
    "clone_folder",
    "copy_index",
    "parse_filter",
]
