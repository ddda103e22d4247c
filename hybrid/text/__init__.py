"""From text to terms: analyzers for BM25."""

from hybrid.text.analysis import ANALYSIS_VERSION, Analyzer
from hybrid.text.fingerprint import analysis_fingerprint
from hybrid.text.presets import analyzer, analyzer_names

__all__ = ["ANALYSIS_VERSION", "Analyzer", "analysis_fingerprint", "analyzer", "analyzer_names"]
