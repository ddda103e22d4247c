"""LangChain is installed, or importing this says how to install it."""

from hybrid.integrations.needed import require

require("langchain_core", "langchain-core", "langchain")
