"""The analyzers that have a name."""

from __future__ import annotations

from functools import cache

from hybrid.errors import PipelineError
from hybrid.text.analysis import Analyzer
from hybrid.text.stemming import stemmer_names
from hybrid.text.stopwords import stopword_languages

_SPECIAL = {
    "simple": Analyzer("simple"),
    "multilingual": Analyzer("multilingual", bigrams=("cjk", "thai")),
    "cjk": Analyzer("cjk", bigrams=("cjk",)),
    "thai": Analyzer("thai", bigrams=("thai",)),
}
"""The presets that belong to no Snowball stemmer; ``code`` and ``english`` are built on first use."""

_VARIANTS = {"porter": "english", "dutch_porter": "dutch"}
"""Snowball's older algorithms, and the language whose words they stem."""

_ORTHOGRAPHY = {"french": "elision", "italian": "elision", "catalan": "elision"} | {
    name: name for name in ("turkish", "persian")
}


def analyzer_names() -> list[str]:
    """Return the names that ``analyzer`` accepts, in alphabetical order."""
    return sorted({*_SPECIAL, "code", *stemmer_names()})


@cache
def analyzer(name: str) -> Analyzer:
    """Return the preset called ``name``.

    Every Snowball language has one (``english``, ``german``, …): its stop words where a list is known,
    its stemmer. ``english`` also folds accents, which English writers leave out. Beside these:

    - ``simple``: Unicode words in lower case, every one of them, unstemmed.
    - ``cjk``: Chinese, Japanese and Korean as overlapping bigrams; other scripts as in ``simple``.
      A query of one character finds only documents where it stands alone.
    - ``thai``: the same for Thai, Lao, Khmer and Myanmar.
    - ``multilingual``: ``simple`` with both kinds of bigrams, for collections of mixed languages.
    - ``code``: identifiers whole and in pieces, with English stop words and stems, so that prose about
      the code finds it.

    No preset guesses: ``english`` takes a Chinese clause for one word, and finds it only as such.

    Raises:
        PipelineError: if there is no such preset.

    >>> analyzer("english").terms("The state-of-the-art parsers")
    ['state', 'art', 'parser']
    """
    if name in _SPECIAL:
        return _SPECIAL[name]
    if name == "code":
        return Analyzer("code", tokenizer="code", stopwords="english", stemmer="english", fold_accents=True)
    if name not in stemmer_names():
        raise PipelineError(f"unknown analyzer {name!r}; accepted: {', '.join(analyzer_names())}")
    language = _VARIANTS.get(name, name)
    return Analyzer(
        name,
        stopwords=language if language in stopword_languages() else "none",
        stemmer=name,
        fold_accents=language == "english",
        orthography=_ORTHOGRAPHY.get(language, "default"),
    )
