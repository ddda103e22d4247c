"""The index on disk: one folder, immutable segments, one catalogue, one atomic commit."""

from hybrid.index.rows import Rows
from hybrid.index.segment import Segment, SegmentInfo, SegmentWriter

__all__ = ["Rows", "Segment", "SegmentInfo", "SegmentWriter"]
