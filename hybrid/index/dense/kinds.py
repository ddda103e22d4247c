"""How vectors are searched and kept, as values.

Flat, Scan and Tiered are exact: they give the same documents and scores, to the bit. The others are
approximate: faiss proposes candidates, which are rescored on the stored vectors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import PipelineError
from hybrid.index.dense.vectors import STORAGES, Storage
from hybrid.values import short_repr

IVF_CODES = ("flat", "sq8", "pq", "rabitq")


@dataclass(frozen=True, slots=True, repr=False)
class _Index:
    """What all of these values share: their print, and that search-time settings are left out when built."""

    def __repr__(self) -> str:
        return short_repr(self)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "codes":
                continue
            optional = each.default is None and value is None
            if not optional and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise PipelineError(
                    f"{each.name} of {type(self).__name__} is {value!r}; give a whole number of at least 1"
                )

    def built(self) -> Self:
        """Return the value with every setting that may change without rebuilding at its default."""
        kept = {f.name: f.default for f in fields(self) if f.metadata.get("search")}
        return replace(self, **kept)


def _search(default: int | None) -> Any:
    """Return a field that matters only when searching."""
    return field(default=default, metadata={"search": True})


@dataclass(frozen=True, slots=True, repr=False)
class Flat(_Index):
    """Compare the query with every vector, in float32, and score the best exactly."""


@dataclass(frozen=True, slots=True, repr=False)
class Scan(_Index):
    """Compare the query with an 8-bit code of every vector; score exactly what the codes cannot exclude."""


@dataclass(frozen=True, slots=True, repr=False)
class Tiered(_Index):
    """As `Scan`, after a scan of codes of the first ``prefix`` numbers only.

    That pays for vectors whose first numbers matter most (Matryoshka representations, Kusupati et
    al. 2022), and for no others. Vectors kept as int8 are scanned whole at once.
    """

    prefix: int = 64


@dataclass(frozen=True, slots=True, repr=False)
class HNSW(_Index):
    """A navigable graph (Malkov and Yashunin 2018): ``m`` neighbours a vector.

    ``ef_construction`` and ``ef_search``: how many candidates are kept while building and searching;
    ``ef_search`` may be changed on a built index. A graph built by several threads differs a little
    from time to time.
    """

    m: int = 32
    ef_construction: int = 200
    ef_search: int = _search(128)


@dataclass(frozen=True, slots=True, repr=False)
class IVF(_Index):
    """Vectors in ``lists`` clusters, of which a search reads the ``probes`` nearest.

    ``codes``: how they are kept there: "flat", "sq8" (8 bits a number), "pq" (product quantisation)
    or "rabitq" (a bit a number). None means about 4·√n lists, and one in 32 of them probed.
    ``probes`` and ``rescore``, how many candidates are rescored for each result, may be changed on a
    built index.
    """

    lists: int | None = None
    probes: int | None = _search(None)
    codes: Literal["flat", "sq8", "pq", "rabitq"] = "flat"
    rescore: int = _search(10)

    def __post_init__(self) -> None:
        _Index.__post_init__(self)
        if self.codes not in IVF_CODES:
            raise PipelineError(f"codes of IVF is {self.codes!r}; it is one of {', '.join(IVF_CODES)}")


@dataclass(frozen=True, slots=True, repr=False)
class SQ8(_Index):
    """Every number in 8 bits of a range learned for its dimension; all are compared."""

    rescore: int = _search(4)


@dataclass(frozen=True, slots=True, repr=False)
class PQ(_Index):
    """Product quantisation (Jégou, Douze and Schmid 2011): ``bytes`` codes of 8 bits a vector.

    None means one byte for every 4 numbers, or as near as divides the dimension.
    """

    bytes: int | None = None
    rescore: int = _search(20)


@dataclass(frozen=True, slots=True, repr=False)
class RaBitQ(_Index):
    """A bit a number with a correction (Gao and Long 2024); all are compared."""

    rescore: int = _search(40)


@dataclass(frozen=True, slots=True, repr=False)
class Binary(_Index):
    """The sign of every number; all are compared, by Hamming distance."""

    rescore: int = _search(40)


Index: TypeAlias = Flat | Scan | Tiered | HNSW | IVF | SQ8 | PQ | RaBitQ | Binary
INDEXES: dict[str, type[Index]] = {
    "flat": Flat,
    "scan": Scan,
    "tiered": Tiered,
    "hnsw": HNSW,
    "ivf": IVF,
    "sq8": SQ8,
    "pq": PQ,
    "rabitq": RaBitQ,
    "binary": Binary,
}
"""Every kind by its name in recipes."""

EXACT = (Flat, Scan, Tiered)


def as_index(value: Any) -> Index | Literal["auto"]:
    """Return an index given as a value, by its name, or as "auto".

    Raises:
        PipelineError: it is neither.

    >>> as_index("hnsw")
    HNSW()
    """
    if type(value) in INDEXES.values():
        return value  # type: ignore[no-any-return]
    if isinstance(value, str) and value in INDEXES:
        return INDEXES[value]()
    if isinstance(value, str) and value == "auto":
        return "auto"
    raise PipelineError(
        f"index is {value!r}; give 'auto' or one of {', '.join(f'{c.__name__}()' for c in INDEXES.values())}"
    )


@dataclass(frozen=True, slots=True)
class Form:
    """How vectors are kept and indexed: everything that a segment was written with."""

    index: Index | Literal["auto"] = "auto"
    storage: Storage = "float32"

    def __post_init__(self) -> None:
        if self.storage not in STORAGES:
            raise PipelineError(f"storage is {self.storage!r}; it is one of {', '.join(STORAGES)}")
        if self.index != "auto":
            object.__setattr__(self, "index", self.index.built())

    def spelt(self) -> Mapping[str, Any]:
        """Return the form as JSON values.

        >>> Form(HNSW(m=16, ef_search=99)).spelt()
        {'storage': 'float32', 'index': {'type': 'hnsw', 'm': 16, 'ef_construction': 200}}
        """
        return {"storage": self.storage, "index": spelt(self.index)}

    def encode(self) -> NDArray[np.uint8]:
        """Return the form as the bytes of a JSON object: uint8."""
        return np.frombuffer(json.dumps(self.spelt(), sort_keys=True).encode(), np.uint8)

    @classmethod
    def decode(cls, encoded: NDArray[np.uint8]) -> Self:
        """Return the form of `encode`'s bytes."""
        table = json.loads(encoded.tobytes())
        index = table["index"]
        if index != "auto":
            index = INDEXES[index.pop("type")](**index)
        return cls(index, table["storage"])


def spelt(index: Index | Literal["auto"]) -> Any:
    """Return what an index is built with, as JSON values."""
    if index == "auto":
        return "auto"
    name = next(name for name, kind in INDEXES.items() if kind is type(index))
    settings = {f.name: getattr(index, f.name) for f in fields(index) if not f.metadata.get("search")}
    return {"type": name, **settings}
