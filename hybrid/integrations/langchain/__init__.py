"""LangChain's retriever, vector store, embeddings and document compressor over a hybrid index."""

from hybrid.integrations.langchain import available as _available  # noqa: F401  # first: it says what to install
from hybrid.integrations.langchain.compressor import HybridReranker
from hybrid.integrations.langchain.embeddings import EmbeddingsEncoder, HybridEmbeddings
from hybrid.integrations.langchain.retriever import HybridRetriever
from hybrid.integrations.langchain.vectorstore import HybridVectorStore

__all__ = ["EmbeddingsEncoder", "HybridEmbeddings", "HybridReranker", "HybridRetriever", "HybridVectorStore"]
