"""From text to terms: analyzers for BM25."""

from hybrid.text.analysis import ANALYSIS_VERSION, Analyzer
from hybrid.text.cleaning import Cleaning
from hybrid.text.counts import TermCounts, count_terms
from hybrid.text.fingerprint import analysis_fingerprint
from hybrid.text.presets import analyzer, analyzer_names
from hybrid.text.processes import Workers, analyse

__all__ = [
    "ANALYSIS_VERSION",
    "Analyzer",
    "Cleaning",
    "TermCounts",
    "Workers",
    "analyse",
    "analysis_fingerprint",
    "analyzer",
    "analyzer_names",
    "count_terms",
]
