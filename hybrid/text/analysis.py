"""From text to the terms that BM25 counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import chain

from hybrid.errors import PipelineError
from hybrid.text.alphabet import SCRIPTS
from hybrid.text.bigrams import bigrams, run_pattern
from hybrid.text.normalize import ORTHOGRAPHIES, fold_accents, fold_case, normalize
from hybrid.text.stemming import stemmer, stemmer_names
from hybrid.text.stopwords import stopword_languages, stopwords
from hybrid.text.tokens import TOKENIZERS, Piece, chunk_pattern, pieces

ANALYSIS_VERSION = 1
"""Raised whenever any analyzer gives other terms for some text than it did before."""

MAX_TERM = 128
"""Longer words are cut to this many characters; longer compounds are kept only in their parts."""

MEMO_LIMIT = 1 << 16
"""How many entries one analyzer's two memories (chunks, and stretches of text between spaces) take up
before what was not used since the last time they were full is forgotten."""


@dataclass(frozen=True, slots=True, repr=False)
class Analyzer:
    """Turns text into terms. A value: equal analyzers give equal terms for every text.

    The steps, in order: Unicode normalisation (NFKC, invisible characters dropped), case folding,
    bigrams for the scripts named, tokens, compounds and their parts, accents folded, stop words,
    stems. Nothing about the language of a text is guessed.

    ``name``: what it is called; a preset's name, or any other.
    ``tokenizer``: ``words``, or ``code``, which also splits camelCase and keeps kebab-case whole.
    ``stopwords``: a language with a list, ``none``, or the words themselves.
    ``stemmer``: a Snowball language, or ``none``.
    ``fold_accents``: whether ``é`` counts as ``e`` (Latin letters only).
    ``bigrams``: the groups of scripts cut into overlapping bigrams: ``cjk``, ``thai`` (which stands for
    Thai, Lao, Khmer and Myanmar). In other scripts, and in these where they are not named, a
    run of letters is one word: without ``cjk`` a Chinese clause is a single term.
    ``orthography``: ``default`` drops the possessive ``'s``; ``elision`` (French, Italian, Catalan) cuts
    at apostrophes and drops a single letter before one; ``turkish`` pairs I with ı and İ with i, and
    drops suffixes after an apostrophe; ``persian`` takes the zero-width non-joiner for a space.

    Raises:
        PipelineError: if a field has a value that is not accepted.

    Example:
    >>> Analyzer("mine", stemmer="english").terms("Error E-4021 in C++ programs")
    ['error', 'e-4021', 'e', '4021', 'in', 'c++', 'program']
    """

    name: str = "simple"
    tokenizer: str = "words"
    stopwords: str | tuple[str, ...] = "none"
    stemmer: str = "none"
    fold_accents: bool = False
    bigrams: tuple[str, ...] = ()
    orthography: str = "default"

    def __post_init__(self) -> None:
        for field in ("bigrams", "stopwords"):
            value = getattr(self, field)
            if isinstance(value, list):  # as TOML and JSON give it
                object.__setattr__(self, field, tuple(value))
        if not isinstance(self.name, str) or not self.name:
            raise PipelineError(f"analyzer name must be a string that is not empty, not {self.name!r}")
        if not isinstance(self.fold_accents, bool):
            raise PipelineError(f"analyzer fold_accents must be true or false, not {self.fold_accents!r}")
        _check("tokenizer", self.tokenizer, TOKENIZERS)
        _check("orthography", self.orthography, ORTHOGRAPHIES)
        if not isinstance(self.bigrams, tuple):
            raise PipelineError(f"analyzer bigrams must be a list of script groups, not {self.bigrams!r}")
        for scripts in self.bigrams:
            _check("bigrams", scripts, tuple(SCRIPTS))
        if self.stemmer != "none":
            _check("stemmer", self.stemmer, ("none", *stemmer_names()))
        if not isinstance(self.stopwords, tuple):
            _check("stopwords", self.stopwords, ("none", *stopword_languages()))
        elif not all(isinstance(word, str) for word in self.stopwords):
            raise PipelineError(f"analyzer stopwords must all be strings, not {self.stopwords!r}")

    def __repr__(self) -> str:
        """Show the name and what differs from the defaults."""
        shown = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if field.name == "name" or getattr(self, field.name) != field.default
        )
        return f"Analyzer({', '.join(shown)})"

    def terms(self, text: str) -> list[str]:
        r"""Return the terms of ``text`` in the order of the text, repeated as often as they occur.

        A compound comes right before its parts. Safe to call from many threads; takes linear time.
        A line break ends every term, so ``terms(a + "\n" + b) == terms(a) + terms(b)``.
        """
        return _analysis(self).terms(text)


def _check(field: str, value: object, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise PipelineError(f"unknown analyzer {field} {value!r}; accepted: {', '.join(accepted)}")


class _Memory(dict[str, tuple[str, ...]]):
    """What was found for strings of late; what is not there is found anew.

    Reading and adding entries are single operations on a dict, and what is added never depends on
    when, so threads share it without a lock: at worst one forgets what another has just added.
    """

    def __init__(self, find: Callable[[str], tuple[str, ...]]) -> None:
        super().__init__()
        self._find = find
        self._before: dict[str, tuple[str, ...]] = {}

    def __missing__(self, key: str) -> tuple[str, ...]:
        found = self._before.get(key)
        if found is None:
            found = self._find(key)
        if len(key) <= MAX_TERM:
            if len(self) >= MEMO_LIMIT:
                self._before = self.copy()
                self.clear()
            self[key] = found
        return found


class _Analysis:
    """The working form of an analyzer, with its memories.

    No chunk holds a space, so the terms of a text are those of its stretches between spaces.
    """

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer
        self._stretches = _Memory(self._of_stretch)
        self._chunks = _Memory(self._of_chunk)
        self._runs = run_pattern(analyzer.bigrams) if analyzer.bigrams else None
        self._stem: Callable[[str], str] = stemmer(analyzer.stemmer)
        listed = analyzer.stopwords
        words = stopwords(listed) if isinstance(listed, str) else listed
        self._stopped = frozenset(self._fold(normalize(word, analyzer.orthography)) for word in words)

    def terms(self, text: str) -> list[str]:
        """Return the terms of ``text``."""
        orthography = self._analyzer.orthography
        text = normalize(text, orthography)
        if self._analyzer.tokenizer != "code":
            text = fold_case(text, orthography)
        if self._runs is not None and not text.isascii():
            text = self._runs.sub(r" \1 ", text)
        return list(chain.from_iterable(map(self._stretches.__getitem__, text.split())))

    def _of_stretch(self, stretch: str) -> tuple[str, ...]:
        """Return the terms of text without spaces."""
        chunks = chunk_pattern(stretch.isascii()).findall(stretch)
        if len(chunks) == 1:
            return self._chunks[chunks[0]]
        return tuple(chain.from_iterable(map(self._chunks.__getitem__, chunks)))

    def _of_chunk(self, chunk: str) -> tuple[str, ...]:
        """Return the terms of a chunk."""
        if self._runs is not None and self._runs.match(chunk):
            return tuple(bigrams(chunk))
        return tuple(self._chunk_terms(chunk))

    def _chunk_terms(self, chunk: str) -> Iterator[str]:
        for piece in pieces(chunk, self._analyzer.tokenizer, self._analyzer.orthography):
            term = self._term(piece)
            if term:
                yield term

    def _term(self, piece: Piece) -> str:
        """Return the term of a piece, or an empty string if it has none."""
        term = self._fold(piece.text)
        if not any(map(str.isalnum, term)):
            return ""
        if piece.whole:
            return term if len(term) <= MAX_TERM else ""
        if term in self._stopped:
            return ""
        term = term[:MAX_TERM]
        return term if any(map(str.isdigit, term)) else self._stem(term)

    def _fold(self, text: str) -> str:
        text = fold_case(text, self._analyzer.orthography)
        return fold_accents(text) if self._analyzer.fold_accents else text


@lru_cache(maxsize=16)
def _analysis(analyzer: Analyzer) -> _Analysis:
    return _Analysis(analyzer)
