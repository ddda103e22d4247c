"""LlamaIndex's retriever, vector store, embedding and node postprocessor over a hybrid index."""

from hybrid.integrations.llama_index import available as _available  # noqa: F401  # first: says what to install
from hybrid.integrations.llama_index.embedding import HybridEmbedding
from hybrid.integrations.llama_index.postprocessor import HybridRerank
from hybrid.integrations.llama_index.retriever import HybridRetriever
from hybrid.integrations.llama_index.vectorstore import HybridVectorStore

__all__ = ["HybridEmbedding", "HybridRerank", "HybridRetriever", "HybridVectorStore"]
