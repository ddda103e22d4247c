"""Lucene's analyzers: text -> terms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from hybrid.branches.lucene.jvm import calling, java
from hybrid.text import analysis_fingerprint

_LUCENE = "org.apache.lucene.analysis"
ANALYZERS = {
    "english": "io.anserini.analysis.DefaultEnglishAnalyzer",
    "whitespace": f"{_LUCENE}.core.WhitespaceAnalyzer",
    "arabic": f"{_LUCENE}.ar.ArabicAnalyzer",
    "bengali": f"{_LUCENE}.bn.BengaliAnalyzer",
    "cjk": f"{_LUCENE}.cjk.CJKAnalyzer",
    "danish": f"{_LUCENE}.da.DanishAnalyzer",
    "dutch": f"{_LUCENE}.nl.DutchAnalyzer",
    "finnish": f"{_LUCENE}.fi.FinnishAnalyzer",
    "french": f"{_LUCENE}.fr.FrenchAnalyzer",
    "german": f"{_LUCENE}.de.GermanAnalyzer",
    "hindi": f"{_LUCENE}.hi.HindiAnalyzer",
    "hungarian": f"{_LUCENE}.hu.HungarianAnalyzer",
    "indonesian": f"{_LUCENE}.id.IndonesianAnalyzer",
    "italian": f"{_LUCENE}.it.ItalianAnalyzer",
    "japanese": f"{_LUCENE}.ja.JapaneseAnalyzer",
    "norwegian": f"{_LUCENE}.no.NorwegianAnalyzer",
    "persian": f"{_LUCENE}.fa.PersianAnalyzer",
    "portuguese": f"{_LUCENE}.pt.PortugueseAnalyzer",
    "russian": f"{_LUCENE}.ru.RussianAnalyzer",
    "spanish": f"{_LUCENE}.es.SpanishAnalyzer",
    "swedish": f"{_LUCENE}.sv.SwedishAnalyzer",
    "telugu": f"{_LUCENE}.te.TeluguAnalyzer",
    "turkish": f"{_LUCENE}.tr.TurkishAnalyzer",
}
"""Names and Java classes. ``english`` is Anserini's: Porter's stemmer and Lucene's stop words."""

IMPACTS = "impacts"
"""The analysis of learned weights: terms between spaces, each with its weight (``term|weight``)."""

LONGEST_TERM = 32_766
"""How many bytes of UTF-8 a term of Lucene may have."""


@dataclass(frozen=True, slots=True)
class LuceneAnalyzer:
    """One of Lucene's analyzers, by name."""

    name: str

    def terms(self, text: str) -> list[str]:
        """Return the terms of a text, in order."""
        with calling():
            utils = java("io.anserini.analysis.AnalyzerUtils")
            return [str(term) for term in utils.analyze(java_analyzer(self.name), encodable(text))]


@lru_cache(maxsize=64)
def fingerprint(name: str) -> str:
    """Return a digest of what an analyzer does to fixed texts."""
    return analysis_fingerprint(cast("Any", LuceneAnalyzer(name)))


@lru_cache(maxsize=64)
def java_analyzer(name: str) -> Any:
    """Return the Java object of an analyzer, or of `IMPACTS`; to be used within `calling`."""
    if name != IMPACTS:
        kind = java(ANALYZERS[name])
        return kind.newDefaultInstance() if name == "english" else kind()
    options = java("java.util.HashMap")()
    options.put("maxTokenLen", str(1 << 20))
    builder = java(f"{_LUCENE}.custom.CustomAnalyzer").builder().withTokenizer("whitespace", options)
    return builder.addTokenFilter("delimitedTermFrequency", java("java.util.HashMap")()).build()


def encodable(text: str) -> str:
    """Return a text that Java can take: halves of characters become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
