"""From text to terms: analyzers for BM25."""

from hybrid.text.analysis import ANALYSIS_VERSION, Analyzer
from hybrid.text.presets import analyzer, analyzer_names

__all__ = ["ANALYSIS_VERSION", "Analyzer", "analyzer", "analyzer_names"]
