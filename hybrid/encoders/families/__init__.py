"""What is known of published models: prefixes, pooling, windows, licences and where each was read."""

from hybrid.encoders.families.family import ACCEPTED_POOLINGS, Family, Pooling, families, find
from hybrid.encoders.families.table import as_markdown

__all__ = ["Family", "Pooling", "ACCEPTED_POOLINGS", "families", "find", "as_markdown"]
