"""Published collections by name: ir_datasets, the Hugging Face hub, and MTEB's retrieval tasks."""

from hybrid.corpus.datasets.source import SCHEMES, Collection, Source, is_dataset, open_dataset

__all__ = ["SCHEMES", "Collection", "Source", "is_dataset", "open_dataset"]
