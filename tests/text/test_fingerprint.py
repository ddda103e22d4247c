"""The digest that tells one analysis from another."""

from __future__ import annotations

import pytest

from hybrid.text import Analyzer, analysis_fingerprint, analyzer, analyzer_names, fingerprint


def test_presets_differ_unless_they_do_the_same():
    digests = {
        name: analysis_fingerprint(analyzer(name)) for name in ("english", "german", "code", "cjk", "simple")
    }
    assert len(set(digests.values())) == len(digests)
    assert analysis_fingerprint(Analyzer("other name")) == analysis_fingerprint(analyzer("simple"))
    assert len({analysis_fingerprint(analyzer(name)) for name in analyzer_names()}) > 30


def test_it_changes_with_the_terms(monkeypatch: pytest.MonkeyPatch):
    before = analysis_fingerprint(analyzer("english"))
    assert analysis_fingerprint(analyzer("english")) == before
    monkeypatch.setattr(fingerprint, "ANALYSIS_VERSION", 999)
    assert analysis_fingerprint(analyzer("english")) != before
    monkeypatch.undo()
    assert analysis_fingerprint(Analyzer("english", stopwords=("fox",), stemmer="english")) != before
