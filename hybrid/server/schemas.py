"""The JSON that the server takes and gives, as its OpenAPI description has it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Text = Annotated[str, Field(max_length=65536)]
Id = Annotated[str, Field(max_length=4096)]
Vector = list[float] | list[list[float]] | dict[str, float]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Versions = Annotated[
    dict[Id, Annotated[int, Field(ge=0)] | None],
    Field(
        description="Versions by id that documents must have, or nothing is changed (409); null: not there",
        examples=[{"doc-1": 7, "doc-2": None}],
    ),
]


class Taken(BaseModel):
    """What is taken: exactly these fields, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Terms(Taken):
    """How to search."""

    k: int = Field(10, ge=1, le=100_000, description="How many hits; the server has a limit of its own")
    where: dict[str, JsonValue] | None = Field(None, description="A filter over metadata")
    branches: list[Name] | None = Field(None, description="Search only these branches")
    fusion: dict[str, JsonValue] | None = Field(
        None,
        description="Another fusion, as a recipe has it",
        examples=[{"type": "weighted", "weights": {"bm25": 0.3, "dense": 0.7}}],
    )


class Search(Terms):
    """One search."""

    query: Text
    vectors: dict[Name, Vector] | None = Field(None, description="Ready-made vectors of the query by branch")
    strict: bool = Field(False, description="Fail where a branch fails")
    highlights: bool = Field(False, description="Say where hits hold words of the query")
    deadline: float | None = Field(None, gt=0, description="Seconds; at most the server's own deadline")
    pages: bool = Field(
        False, description="Give a cursor; the generation is then kept for 10 minutes for the pages to come"
    )
    cursor: str | None = Field(
        None, max_length=1024, description="Of the page before; all else but k, strict and deadline as there"
    )


class Asked(Taken):
    """A query with ready-made vectors."""

    query: Text
    vectors: dict[Name, Vector] = Field(default_factory=dict)


class SearchMany(Terms):
    """Several searches on the same terms."""

    queries: list[Text | Asked] = Field(min_length=1, max_length=1000)
    strict: bool = False
    deadline: float | None = Field(None, gt=0)


class Explain(Terms):
    """Why a document ranks where it does."""

    query: Text
    vectors: dict[Name, Vector] | None = Field(None, description="Ready-made vectors of the query by branch")
    id: Id


class Candidates(Taken):
    """The candidates of a query, scored by every branch: what a page fuses by itself."""

    query: Text
    where: dict[str, JsonValue] | None = None
    depth: int = Field(100, ge=1, le=1000, description="How many of each branch's best")


class NewDocument(Taken):
    """A document, as `hybrid.Document`."""

    id: Id
    text: str = ""
    title: str = ""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    vectors: dict[Name, Vector] = Field(default_factory=dict)
    expires: float | None = Field(
        None, ge=0, le=253_402_300_799, description="From when on it is not found; seconds since 1970"
    )


class NewDocuments(Taken):
    """Documents of one atomic commit."""

    documents: list[NewDocument] = Field(max_length=100_000)


class Documents(NewDocuments):
    """Documents of one atomic commit, which replace those of the same ids."""

    if_version: Versions | None = None


class Deletion(Taken):
    """What is deleted in one atomic commit: ids, or what a filter finds; ``{}`` finds everything."""

    ids: list[Id] | None = Field(None, max_length=100_000)
    where: dict[str, JsonValue] | None = Field(None, description="A filter over metadata")
    missing_ok: bool = Field(False, description="Skip ids that are not there")
    if_version: Versions | None = None


class Passage(BaseModel):
    """A passage of a hit."""

    text: str
    start: int
    end: int
    headings: list[str]
    score: float
    context: list[int]


class Hit(BaseModel):
    """A document found."""

    rank: int
    id: str
    score: float
    title: str
    text: str
    metadata: dict[str, Any]
    scores: dict[str, float]
    passages: list[Passage]
    highlights: list[list[int]] = Field(default_factory=list, description="Spans of characters, if asked for")


class Result(BaseModel):
    """What a search found; ``gap`` is null where it is not known."""

    query: str
    hits: list[Hit]
    exact: bool
    gap: float | None
    degraded: list[str]
    notes: dict[str, list[str]]
    generation: int
    timings: dict[str, float]
    cursor: str | None = Field(None, description="Where the next page begins, if asked for and there is one")


class Results(BaseModel):
    """The results of several searches, in order."""

    results: list[Result]


class Match(BaseModel):
    """A term, or a token, that met."""

    term: str
    weight: float
    score: float


class BranchPart(BaseModel):
    """What a branch says of the document."""

    name: str
    raw: float
    normalized: float
    rank: int | None
    weight: float
    contribution: float
    rank_without: int | None
    terms: list[Match]


class StagePart(BaseModel):
    """What a rerank stage did with the document."""

    name: str
    score: float | None
    weight: float | None
    rank_before: int | None
    rank_after: int | None
    score_before: float | None
    score_after: float | None
    source: str | None
    terms: list[Match]


class Explanation(BaseModel):
    """Why a document ranks where it does."""

    id: str
    title: str
    query: str
    fusion: str
    fused: float
    fused_rank: int | None
    rank: int | None
    branches: list[BranchPart]
    stages: list[StagePart]
    degraded: list[str]
    notes: dict[str, list[str]]
    timings: dict[str, float]


class Column(BaseModel):
    """One branch over the candidates, in their order.

    ``normalized``: by the pipeline's normaliser. ``bound_normalized``: what an unseen document could have at
    most. ``exhausted``: whether all that the branch ranks is here.
    """

    name: str
    kind: str
    weight: float
    raw: list[float]
    ranks: list[int]
    normalized: list[float]
    bound_normalized: float
    exhausted: bool


class Shown(BaseModel):
    """What a page shows of a candidate."""

    id: str
    title: str
    snippet: str
    metadata: dict[str, Any]


class Columns(BaseModel):
    """Candidates in order of their ids."""

    query: str
    generation: int
    words: list[str]
    depth: int
    fusion: dict[str, Any]
    columns: list[Column]
    candidates: list[Shown]
    seconds: float


class StoredDocument(BaseModel):
    """A document as it would have to be added again, and its version, for ``if_version``."""

    id: str
    text: str
    title: str
    metadata: dict[str, Any]
    vectors: dict[str, Any]
    expires: float | None
    version: int


class StoredDocuments(BaseModel):
    """Documents in the order asked for."""

    documents: list[StoredDocument]


class Changed(BaseModel):
    """A commit: how many documents it touched, how many there are, and the generation now searched."""

    changed: int
    documents: int
    generation: int


class Index(BaseModel):
    """An index that is served."""

    name: str
    documents: int
    generation: int
    branches: list[dict[str, str]]
    stages: list[str]
    pipeline: dict[str, Any]
    fields: list[str]
    writable: bool


class Indexes(BaseModel):
    """The indexes that are served."""

    indexes: list[Index]


class Encoded(BaseModel):
    """How many texts a model was asked for."""

    model_config = ConfigDict(extra="allow")


class Stats(BaseModel):
    """Figures of an index."""

    generation: int
    documents: int
    deleted: int
    segments: int
    bytes: int
    truncated: dict[str, int]
    branches: dict[str, dict[str, float]]
    fields: list[str]
    encoders: dict[str, Encoded]


class Status(BaseModel):
    """How the server is."""

    status: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    id: str | None = Field(None, description="Of a conflict: the document")
    expected: int | None = Field(None, description="Of a conflict: the version asked for")
    found: int | None = Field(None, description="Of a conflict: the version there is")
