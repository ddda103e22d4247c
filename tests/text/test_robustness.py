"""Any text at all: no crash, no hang, the same terms everywhere."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.text import analyzer, analyzer_names
from hybrid.text.analysis import _analysis
from hybrid.text.bigrams import run_pattern
from hybrid.text.normalize import fold_case, normalize
from hybrid.text.tokens import chunk_pattern

PRESETS = ["english", "simple", "code", "multilingual", "turkish", "french", "persian", "hindi"]
ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too
TRICKY = st.lists(
    st.sampled_from(
        [
            *"aZ1_.-'@#+· \n\u0301\u200b’İIß猫あ한ไ้ที",
            "C++",
            ".net",
            "it's",
            "ﷺ",
            "ＡＢ",
            "\ud800",
            "3.11",
            "ﾞ",
            "ŉ",
        ]
    )
).map("".join)


@pytest.mark.parametrize("name", PRESETS)
@given(text=st.one_of(ANY_TEXT, TRICKY))
def test_terms_are_never_empty_long_or_in_capitals(name: str, text: str) -> None:
    for term in analyzer(name).terms(text):
        assert 0 < len(term) <= 256
        assert not any("A" <= character <= "Z" for character in term)
        assert not any(character.isspace() for character in term)
        assert any(character.isalnum() for character in term)
        term.encode()


@pytest.mark.parametrize("name", PRESETS)
@given(first=st.one_of(ANY_TEXT, TRICKY), second=st.one_of(ANY_TEXT, TRICKY))
def test_a_line_break_ends_every_term(name: str, first: str, second: str) -> None:
    terms = analyzer(name).terms
    assert terms(f"{first}\n{second}") == terms(first) + terms(second)


@pytest.mark.parametrize("name", PRESETS)
@given(text=st.one_of(ANY_TEXT, TRICKY))
def test_memory_changes_nothing(name: str, text: str) -> None:
    remembered = analyzer(name).terms(text)
    fresh = _analysis.__wrapped__(analyzer(name))
    assert fresh.terms(text) == fresh.terms(text) == remembered


@pytest.mark.parametrize("name", PRESETS)
@given(text=st.one_of(ANY_TEXT, TRICKY))
def test_stretches_between_spaces_are_analysed_like_the_whole(name: str, text: str) -> None:
    analysis = _analysis.__wrapped__(analyzer(name))
    remembered = analysis.terms(text)
    prepared = normalize(text, analyzer(name).orthography)
    if analyzer(name).tokenizer != "code":
        prepared = fold_case(prepared, analyzer(name).orthography)
    if analyzer(name).bigrams:
        prepared = run_pattern(analyzer(name).bigrams).sub(r" \1 ", prepared)
    chunks = chunk_pattern(prepared.isascii()).findall(prepared)  # of the whole text at once
    assert remembered == [term for chunk in chunks for term in analysis._of_chunk(chunk)]


@given(text=TRICKY)
def test_plain_and_unicode_patterns_agree(text: str) -> None:
    plain = "".join(filter(str.isascii, text))
    assert analyzer("simple").terms(f"{plain} ü") == [*analyzer("simple").terms(plain), "ü"]


PLAIN = [
    "a",
    "a.",
    "a-",
    "1-",
    "a'",
    "'s",
    "a_",
    "_",
    ".",
    "-",
    "+",
    "a+",
    "a@",
    ".a",
    "a++",
    "a.b-c@d_e'",
    " .",
]
CASED = ["Aa", "aB1", "AS", "aS_", "a-"]
MARKED = ["\u0301", "a\u0301\u0327", "\u0301\u0327", "ﾞ\u0301", "猫", "猫a", "ที่", "\u200b", "·", "ﷺ", "İ"]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        *(("english", unit) for unit in PLAIN),
        *(("code", unit) for unit in CASED),
        *(("multilingual", unit) for unit in MARKED),
        *(("french", unit) for unit in ("a'", "'s", "a'b-1")),
        *(("turkish", unit) for unit in ("a'", "I", "a'b-1")),
    ],
)
def test_a_megabyte_of_anything_takes_linear_time(name: str, unit: str) -> None:
    text = "x" + unit * (1_000_000 // len(unit)) + "!b"
    start = time.process_time()
    analyzer(name).terms(text)
    assert time.process_time() - start < 20  # quadratic time would take hours


def test_threads_see_what_one_thread_sees() -> None:
    texts = [
        f"Connections {i} generalising_{i % 97} relational-{i} ponies{i % 31}ing don't Café"
        for i in range(400)
    ]
    alone = _analysis.__wrapped__(analyzer("english"))
    expected = [alone.terms(text) for text in texts]
    _analysis.cache_clear()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            rounds = [pool.map(analyzer("english").terms, texts) for _ in range(8)]
            assert all(list(found) == expected for found in rounds)
    finally:
        sys.setswitchinterval(interval)


def test_a_full_memory_still_analyses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hybrid.text.analysis.MEMO_LIMIT", 2)
    small = _analysis.__wrapped__(analyzer("english"))
    assert small.terms("one two threes fours threes") == ["one", "two", "three", "four", "three"]
    for memory in (small._stretches, small._chunks):
        assert (len(memory), len(memory._before)) == (2, 2)  # of late: threes, fours; before: one, two


@settings(max_examples=20)
@given(text=TRICKY, name=st.sampled_from(analyzer_names()))
def test_every_preset_takes_every_text(text: str, name: str) -> None:
    assert all(analyzer(name).terms(text))


def test_importing_loads_no_stemmer() -> None:
    code = "import sys, hybrid.text as t; t.analyzer('simple').terms('a'); print('Stemmer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_hash_seeds_change_nothing(seed: str) -> None:
    code = (
        "from hybrid.text import analyzer; print(analyzer('german').terms('Die Häuser der E-4021 und C++'))"
    )
    env = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "['haus', 'e-4021', 'e', '4021', 'c++']"
