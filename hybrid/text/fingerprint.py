"""Notice that an analyzer gives other terms than it did when an index was built."""

from __future__ import annotations

from hashlib import blake2b

from hybrid.text.analysis import ANALYSIS_VERSION, Analyzer

_PROBES = (
    "The foxes' cubs weren't running; error E-4021 in C++ 3.11, getHTTPResponse, state-of-the-art.",
    "L’été, les chevaux mangeaient déjà. Straßenbäume wüchsen größer. Niños corriendo rápidamente, ação.",
    "Быстрые собаки бежали домой. Τα παιδιά έτρεχαν. İstanbul'daki ışıklar. हिन्दी में लिखना. كتابة النصوص",
    "東京都に行きました。中文检索 한국어 검색 ภาษาไทย ພາສາລາວ",
)
"""Texts in many scripts, with what the analyzers take special care of."""


def analysis_fingerprint(analyzer: Analyzer) -> str:
    """Return a digest of the terms that an analyzer gives to a few fixed texts.

    It changes with `ANALYSIS_VERSION`, and also when another release of the stemmer, of the stop
    words or of Python's Unicode tables changes what comes out.
    """
    content = blake2b(str(ANALYSIS_VERSION).encode(), digest_size=8)
    for probe in _PROBES:
        content.update("\n".join([*analyzer.terms(probe), ""]).encode())
    return content.hexdigest()
