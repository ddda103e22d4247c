"""Other libraries' faces of an index: LangChain, LlamaIndex and Haystack, each imported by its own name."""
