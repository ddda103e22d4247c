"""What is in an index, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hybrid.encoders.caching import Counts
from hybrid.index import Snapshot
from hybrid.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures of one generation of an index.

    ``documents``: live ones. ``deleted``: dead ones whose space `optimize` will win back.
    ``bytes``: the size of the segment files. ``truncated``: per branch with a model, how many live
    documents were longer than the encoder's window, so that their end was not encoded.
    ``branches``: further figures per branch. ``fields``: the metadata fields that can be filtered.
    ``encoders``: per model, how many texts were encoded, found in the cache and truncated since this
    index was opened.
    """

    generation: int
    documents: int
    deleted: int
    segments: int
    bytes: int
    truncated: Mapping[str, int]
    branches: Mapping[str, Mapping[str, int | float]]
    fields: tuple[str, ...]
    encoders: Mapping[str, Counts] = field(default_factory=dict)


def figures(snapshot: Snapshot, pipeline: Pipeline, encoders: Mapping[str, Counts]) -> Stats:
    """Return the figures of a snapshot; ``encoders``: what was counted of the models."""
    branches = {branch.name: branch.stats(snapshot) for branch in pipeline.stores}
    return Stats(
        generation=snapshot.generation,
        documents=snapshot.live,
        deleted=snapshot.size - snapshot.live,
        segments=len(snapshot.segments),
        bytes=sum(view.segment.size for view in snapshot.segments),
        truncated={name: int(part["truncated"]) for name, part in branches.items() if "truncated" in part},
        branches=branches,
        fields=snapshot.fields(),
        encoders=encoders,
    )
