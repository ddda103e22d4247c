"""Indexes as tools of an assistant, by the Model Context Protocol over standard input and output."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

import hybrid
from hybrid.errors import HybridError, InputError, NotFoundError
from hybrid.server.candidates import query_stems, snippet
from hybrid.server.newest import refreshed
from hybrid.server.settings import named_indexes
from hybrid.version import __version__

logger = logging.getLogger("hybrid.server")

MOST = 50
"""Hits at most; an assistant reads them all."""

READ = 20_000
"""Characters of a document that one call returns at most."""

Name = Annotated[str | None, Field(description="The index; may be left out if there is one only")]


class Found(BaseModel):
    """A document found. ``text`` is the part that fits the query best; `read` gives the whole."""

    rank: int
    id: str
    title: str
    text: str
    score: float
    metadata: dict[str, Any]


class Findings(BaseModel):
    """What a search found. ``missing`` names ways of searching that failed."""

    hits: list[Found]
    exact: bool
    missing: list[str]


class Read(BaseModel):
    """Characters ``start`` to ``end`` of a document's text, which has ``length``."""

    id: str
    title: str
    text: str
    start: int
    end: int
    length: int
    metadata: dict[str, Any]


def serve_assistant(given: Iterable[str | Path]) -> None:
    """Answer an assistant on standard input and output until it ends the conversation.

    Raises:
        HybridError: an index cannot be opened.
    """
    with ExitStack() as stack:
        indexes = {name: _Followed(path) for name, path in named_indexes(given).items()}
        for followed in indexes.values():
            stack.callback(followed.close)
        build_assistant(indexes).run("stdio")


class _Followed:
    """An open index of which every look sees the newest generation that can be had."""

    def __init__(self, path: Path) -> None:
        self._open = partial(hybrid.open, path)
        self._index, self._lock = self._open(), threading.Lock()

    def now(self) -> hybrid.HybridIndex:
        with self._lock:
            try:
                self._index = refreshed(self._index, self._open)
            except HybridError as error:
                logger.warning("%s: the generation before stays: %s", self._index.path, error)
            return self._index

    def close(self) -> None:
        self._index.close()


def build_assistant(indexes: Mapping[str, _Followed]) -> MCPServer:
    """Return the server of tools over indexes by name."""
    server = MCPServer("hybrid", version=__version__, instructions=_instructions(indexes))

    @server.tool()
    def search(
        query: Annotated[str, Field(description="A question, key words, or an exact string")],
        k: Annotated[int, Field(ge=1, le=MOST, description="How many hits")] = 5,
        where: Annotated[
            dict[str, Any] | None,
            Field(description='A filter over metadata, such as {"year": {"$gte": 2024}}'),
        ] = None,
        index: Name = None,
    ) -> Findings:
        """Find documents by meaning and by exact words at once."""
        with _told():
            opened = _fresh(indexes, index)
            result = opened.search(query, k, where)
        words = query_stems(query)
        hits = [
            Found(
                rank=hit.rank,
                id=hit.id,
                title=hit.title,
                text=hit.passages[0].text if hit.passages else snippet(hit.text, words, 1200),
                score=hit.score,
                metadata=dict(hit.metadata),
            )
            for hit in result
        ]
        return Findings(hits=hits, exact=result.exact, missing=list(result.degraded))

    @server.tool()
    def read(
        id: Annotated[str, Field(description="The id of a document, as a search gave it")],
        start: Annotated[int, Field(ge=0, description="The character to begin at")] = 0,
        index: Name = None,
    ) -> Read:
        """Read a document, up to 20,000 characters at a time."""
        with _told():
            document = _fresh(indexes, index).get(id)
        text = document.text[start : start + READ]
        return Read(
            id=id,
            title=document.title,
            text=text,
            start=start,
            end=start + len(text),
            length=len(document.text),
            metadata=dict(document.metadata),
        )

    return server


def _instructions(indexes: Mapping[str, _Followed]) -> str:
    figures = {name: followed.now().stats() for name, followed in indexes.items()}
    known = [
        f"{name}: {stats.documents:,} documents"
        + (f", metadata {', '.join(stats.fields[:20])}" if stats.fields else "")
        for name, stats in figures.items()
    ]
    return "Search first, then read what looks right by its id. The indexes are " + "; ".join(known) + "."


def _fresh(indexes: Mapping[str, _Followed], name: str | None) -> hybrid.HybridIndex:
    """Return an index at its newest generation."""
    if name is None and len(indexes) > 1:
        raise InputError(f"say which index: {', '.join(indexes)}")
    if name is not None and name not in indexes:
        raise NotFoundError(f"there is no index {name!r}; there are {', '.join(indexes)}")
    return (next(iter(indexes.values())) if name is None else indexes[name]).now()


@contextmanager
def _told() -> Iterator[None]:
    """Tell an assistant what it did wrong, so that it can do better."""
    try:
        yield
    except HybridError as error:
        raise ToolError(str(error)) from error
