"""Our encoders as LangChain's embeddings, and LangChain's embeddings as an encoder of ours."""

from __future__ import annotations

from langchain_core.embeddings import Embeddings

from hybrid.integrations.embeddings import ForeignEncoder, embed, spelt
from hybrid.types import Encoder


class HybridEmbeddings(Embeddings):
    """A model of ours that gives dense vectors, wherever LangChain takes embeddings.

    ``model`` is what `hybrid.load_encoder` accepts; ``encoder``, if given, is used in its place, and is what
    ``model`` names. Models that treat queries and documents differently do so here too.
    """

    def __init__(self, model: str = "all-MiniLM-L6-v2", encoder: Encoder | None = None) -> None:
        """Name the model; it is loaded when it is first used."""
        self.model, self.encoder = model, encoder

    def __repr__(self) -> str:
        return f"HybridEmbeddings({self.model!r})"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of passages."""
        return embed(self.model, self.encoder, texts, queries=False)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        return embed(self.model, self.encoder, [text], queries=True)[0]


class EmbeddingsEncoder(ForeignEncoder):
    """LangChain's embeddings as an encoder, for ``hybrid.create(..., encoders={"name": encoder})``.

    ``model``: what is written into the index as the model's name; the class of the embeddings and the name
    that they give themselves, if it is not given. An index refuses embeddings whose name, dimension or
    probe vectors are not those that it was built with. ``normalize``: see `ForeignEncoder`.
    """

    def __init__(self, embeddings: Embeddings, model: str | None = None, *, normalize: bool = False) -> None:
        """Wrap the embeddings; nothing is embedded yet."""
        self.embeddings = embeddings
        super().__init__(
            embeddings.embed_documents,
            lambda texts: [embeddings.embed_query(text) for text in texts],
            library="langchain",
            model=spelt(embeddings) if model is None else model,
            normalize=normalize,
        )
