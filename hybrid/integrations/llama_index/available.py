"""LlamaIndex is installed, or importing this says how to install it."""

from hybrid.integrations.needed import require

require("llama_index.core", "llama-index-core", "llama-index")
