"""What each preset makes of a text, term by term."""

from __future__ import annotations

import doctest
import importlib
import pickle
from dataclasses import asdict, replace

import pytest
import Stemmer
from hypothesis import given
from hypothesis import strategies as st

from hybrid.errors import PipelineError
from hybrid.text import ANALYSIS_VERSION, Analyzer, analyzer, analyzer_names
from hybrid.text.stopwords import ENGLISH, stopwords

SPECIAL = {
    "E-4021": ["e-4021", "e", "4021"],
    "C++": ["c++"],
    "C#": ["c#"],
    "F#": ["f#"],
    ".NET": [".net", "net"],
    "3.11": ["3.11"],
    "x86-64": ["x86-64", "x86", "64"],
    "CVE-2024-1234": ["cve-2024-1234", "cve", "2024", "1234"],
    "192.168.0.1": ["192.168.0.1"],
    "foo@bar.com": ["foo@bar.com", "foo", "bar.com", "bar", "com"],
    "utf-8": ["utf-8", "utf", "8"],
    "IL-2": ["il-2", "il", "2"],
    "node.js": ["node.js", "node", "js"],
    "C++17": ["c++17", "c++", "17"],
    "CD4+": ["cd4+", "cd4"],
    "5-HT": ["5-ht", "5", "ht"],
    "550e8400-e29b-41d4": ["550e8400-e29b-41d4", "550e8400", "e29b", "41d4"],
    "3.11-rc1": ["3.11-rc1", "3.11", "rc1"],
    "__init__": ["__init__", "init"],
    "ASP.NET": ["asp.net", "asp", "net"],
}
WORD_PRESETS = ["english", "simple", "multilingual", "cjk", "thai", "code", "german", "russian", "hindi"]


@pytest.mark.parametrize("name", WORD_PRESETS)
@pytest.mark.parametrize("token", SPECIAL)
def test_special_tokens_keep_their_whole(name: str, token: str) -> None:
    terms = analyzer(name).terms(f"See ({token}), please.")
    assert SPECIAL[token][0] in terms


@pytest.mark.parametrize("name", ["english", "simple", "code", "multilingual"])
@pytest.mark.parametrize(("token", "expected"), SPECIAL.items())
@pytest.mark.parametrize("frame", ["{}", "{}.", "({})", "“{}”", "\n{}\n", "'{}'", "{},", "{}?", "{}:"])
def test_special_tokens_give_whole_and_parts_in_any_surroundings(
    name: str, token: str, expected: list[str], frame: str
) -> None:
    assert analyzer(name).terms(frame.format(token)) == expected


def test_stop_words_do_not_remove_special_tokens() -> None:
    everything = ("c#", "il-2", "il", "3.11", "node.js", "node", "js", ".net", "net")
    strict = replace(analyzer("simple"), stopwords=everything)
    assert strict.terms("C# IL-2 3.11 node.js .NET") == ["c#", "il-2", "2", "3.11", "node.js", ".net"]


def test_english_prose() -> None:
    text = "The state-of-the-art parsers don't end. Start again: it's Bob’s dog's café, naïvely; end.Start"
    assert analyzer("english").terms(text) == [
        *["state", "art", "parser", "don't", "end", "start", "again", "bob", "dog", "cafe", "naiv"],
        *["end.start", "end", "start"],
    ]


def test_simple_keeps_every_word_and_accent() -> None:
    text = "The state-of-the-art Parsers weren't naïve, it's 1,000 Straße"
    assert analyzer("simple").terms(text) == [
        *["the", "state", "of", "the", "art", "parsers", "weren't", "naïve", "it", "1", "000", "strasse"]
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("U.S.A. and e.g. this", ["usa", "and", "eg", "this"]),
        (
            "IL-2-dependent COVID-19-related",
            ["il-2", "il", "2", "dependent", "covid-19", "covid", "19", "related"],
        ),
        ("anti-IL-2", ["anti", "il-2", "il", "2"]),
        ("20-year-old", ["20-year", "20", "year", "old"]),
        ("one--two - three... four", ["one", "two", "three", "four"]),
        ("non\u2011breaking IL\u20112 a\u22125", ["non", "breaking", "il-2", "il", "2", "a-5", "a", "5"]),
        ("so\u00adft zero\u200bwidth \ufeffmark", ["soft", "zerowidth", "mark"]),
        ("ﬁne Ｆｕｌｌ① x² Java™", ["fine", "full1", "x2", "java"]),
        ("a+b x=y 1+1 #tag @user $5 50%", ["a", "b", "x", "y", "1", "1", "tag", "user", "5", "50"]),
        ("C++-style C#/F# (c++)", ["c++", "style", "c#", "f#", "c++"]),
        (
            "https://example.com/a_b?x=1",
            ["https", "example.com", "example", "com", "a_b", "a", "b", "x", "1"],
        ),
        ("--verbose -O2 ...and .5", ["verbose", "o2", "and", "5"]),
        (
            "o'brien O’Brien ‘quoted’ dogs' rock'n'roll",
            ["o'brien", "o'brien", "quoted", "dogs", "rock'n'roll"],
        ),
        ("snake_case _emphasis_ ____", ["snake_case", "snake", "case", "_emphasis_", "emphasis"]),
        ("İstanbul ΣΊΣΥΦΟΣ σίσυφος", ["istanbul", "σίσυφοσ", "σίσυφοσ"]),
        ("", []),
        (" \n\t.,;-'+#@_", []),
        ("\u0301\u0301 \u0301abc", ["abc"]),
    ],
)
def test_word_boundaries(text: str, expected: list[str]) -> None:
    assert analyzer("simple").terms(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("getHTTPResponse", ["gethttpresponse", "get", "http", "respons"]),
        ("os.path.join(x)", ["os.path.join", "os", "path", "join", "x"]),
        ("MAX_RETRY_COUNT", ["max_retry_count", "max", "retri", "count"]),
        ("btn-primary", ["btn-primary", "btn", "primari"]),
        ("parseURLs IDs", ["parseurls", "pars", "url", "id"]),
        ("3D 550E8400 Point2D aB", ["3d", "550e8400", "point2d", "point2", "d", "ab", "b"]),
        ("utf8Decode HTTP2Server", ["utf8decode", "utf8", "decod", "http2server", "http2", "server"]),
        (
            "my_mod.MyClass.do_it()",
            ["my_mod.myclass.do_it", "my_mod", "my", "mod", "myclass", "my", "class", "do_it", "do"],
        ),
        ("df.groupby('x').mean()", ["df.groupby", "df", "groupbi", "x", "mean"]),
        ("self.__dict__", ["self.__dict__", "self", "__dict__", "dict"]),
        ("f'abc' b'x'.y don't it's", ["f", "abc", "b", "x", ".y", "y", "don't"]),
        ("std::vector<int>* p->next;", ["std", "vector", "int", "p", "next"]),
        ("Returns the responses of all parsers.", ["return", "respons", "all", "parser"]),
    ],
)
def test_code(text: str, expected: list[str]) -> None:
    assert analyzer("code").terms(text) == expected


def test_code_questions_meet_identifiers() -> None:
    question = analyzer("code").terms("how are responses parsed?")
    assert set(question) & set(analyzer("code").terms("def parse_response(self): ...")) == {"respons", "pars"}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("cjk", "東京都のPython3.11で猫", ["東京", "京都", "都の", "python3.11", "python3", "11", "で猫"]),
        ("cjk", "猫。カメラと日本", ["猫", "カメ", "メラ", "ラと", "と日", "日本"]),
        ("cjk", "대한민국 수도 E-4021오류", ["대한", "한민", "민국", "수도", "e-4021", "e", "4021", "오류"]),
        ("cjk", "使用C++语言，第3章", ["使用", "c++", "语言", "第", "3", "章"]),
        ("cjk", "ｶﾞｲﾄﾞ 𠮷野家", ["ガイ", "イド", "𠮷野", "野家"]),
        ("multilingual", "北京 and ไทย", ["北京", "and", "ไท", "ทย"]),
        ("thai", "ภาษาไทย 3.11", ["ภา", "าษ", "ษา", "าไ", "ไท", "ทย", "3.11"]),
        ("thai", "ที่นี่ 北京", ["ที่นี่", "北京"]),
        ("thai", "ខ្មែរ", ["ខ្មែរ"]),
        ("english", "我们使用分词。北京", ["我们使用分词", "北京"]),
        ("simple", "ภาษาไทย हिन्दी में", ["ภาษาไทย", "हिन्दी", "में"]),
        ("french", "L’homme qu'il d'E-4021 aujourd'hui", ["homm", "e-4021", "e", "4021", "aujourd", "hui"]),
        ("turkish", "İstanbul'da ISPARTA şey", ["istanbul", "ıspar"]),
        ("persian", "کتاب\u200cهای", ["کتاب"]),
        ("persian", "کتاب های", ["کتاب"]),
    ],
)
def test_scripts_and_orthographies(name: str, text: str, expected: list[str]) -> None:
    assert analyzer(name).terms(text) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("german", "Häuser Verbindungen Straßen schönsten größer"),
        ("russian", "Собаками книгах красивая ёлками"),
        ("turkish", "kitaplar evlerimiz gözlükçüler"),
        ("spanish", "canciones rápidamente niños"),
        ("hindi", "लड़कियाँ किताबों हिन्दी"),
        ("greek", "ανθρώπους θάλασσες"),
        ("finnish", "taloissammekin kirjoja"),
        ("arabic", "المدرسون كتابهم"),
        ("porter", "generalizations connected"),
    ],
)
def test_stems_are_snowballs(name: str, text: str) -> None:
    direct = Stemmer.Stemmer(name)
    assert analyzer(name).terms(text) == [direct.stemWord(word.casefold()) for word in text.split()]


def test_stop_words_by_language() -> None:
    assert len(ENGLISH) == len(set(ENGLISH)) == 33
    assert analyzer("english").stopwords == "english"
    assert analyzer("german").terms("Die Katze und der Hund") == ["katz", "hund"]
    assert {"altı", "şey", "beş", "nasıl"} <= stopwords("turkish")
    assert analyzer("basque").stopwords == "none"
    assert Analyzer("own", stopwords=("Foo", "BÄR")).terms("foo bär baz") == ["baz"]
    assert Analyzer("own", stopwords=("bär",), fold_accents=True).terms("bar Bär baz") == ["baz"]


def test_every_snowball_language_has_a_preset() -> None:
    names = analyzer_names()
    assert names == sorted(names)
    assert set(names) == {*Stemmer.algorithms(), "simple", "cjk", "thai", "code", "multilingual"}
    for name in names:
        preset = analyzer(name)
        assert preset.name == name
        assert preset.terms("2024 E-4021")[:2] == ["2024", "e-4021"]
        assert preset.stemmer in {"none", name, "english"}


def test_accents_fold_only_where_asked_and_only_in_latin() -> None:
    assert analyzer("english").terms("Café Łódź Søren Ώ й") == ["cafe", "lodz", "soren", "ώ", "й"]
    assert analyzer("german").terms("Müller") == ["mull"]
    assert analyzer("simple").terms("Müller") == ["müller"]


def test_long_words_are_cut_and_long_compounds_keep_their_parts() -> None:
    assert analyzer("simple").terms("x" * 5000) == ["x" * 128]
    assert analyzer("simple").terms(".".join(["abc"] * 100)) == ["abc"] * 100


def test_an_analyzer_is_a_value() -> None:
    english = analyzer("english")
    same = Analyzer("english", stopwords="english", stemmer="english", fold_accents=True)
    assert english == same
    assert hash(english) == hash(same)
    assert english != analyzer("simple")
    assert pickle.loads(pickle.dumps(english)) == english
    assert Analyzer(**asdict(english)) == english
    assert repr(analyzer("cjk")) == "Analyzer(name='cjk', bigrams=('cjk',))"
    assert eval(repr(english)) == english
    assert isinstance(ANALYSIS_VERSION, int)


def test_lists_from_toml_become_tuples() -> None:
    fields = {"name": "mine", "stopwords": ["a"], "bigrams": ["cjk"]}
    mine = Analyzer(**fields)
    assert (mine.stopwords, mine.bigrams) == (("a",), ("cjk",))
    assert hash(mine) == hash(Analyzer("mine", stopwords=("a",), bigrams=("cjk",)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stemmer": "klingon"}, r"analyzer stemmer 'klingon'; accepted: none, arabic"),
        ({"stopwords": "klingon"}, r"analyzer stopwords 'klingon'; accepted: none, arabic"),
        ({"stopwords": ("a", 1)}, r"must all be strings"),
        ({"tokenizer": "bytes"}, r"tokenizer 'bytes'; accepted: words, code"),
        ({"orthography": "old"}, r"orthography 'old'; accepted: default, elision"),
        ({"bigrams": ("latin",)}, r"bigrams 'latin'; accepted: cjk, thai"),
        ({"bigrams": "cjk"}, r"bigrams must be a list"),
        ({"fold_accents": "yes"}, r"fold_accents must be true or false"),
        ({"name": ""}, r"name must be a string"),
    ],
)
def test_wrong_fields_are_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        Analyzer(**{"name": "x", **fields})


@pytest.mark.parametrize("name", ["klingon", "", "English", "none"])
def test_an_unknown_preset_names_the_known_ones(name: str) -> None:
    with pytest.raises(PipelineError, match=r"unknown analyzer .*; accepted: arabic, .*, yiddish"):
        analyzer(name)


@pytest.mark.parametrize(
    "module", ["alphabet", "analysis", "bigrams", "identifiers", "normalize", "presets", "stemming", "tokens"]
)
def test_the_examples_in_the_documentation_hold(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"hybrid.text.{module}")).failed == 0


@given(st.text(st.sampled_from("aB1_'-.")), st.sampled_from(analyzer_names()))
def test_a_query_equal_to_the_text_gives_the_same_terms_in_any_case(text: str, name: str) -> None:
    if analyzer(name).tokenizer == "words":
        assert analyzer(name).terms(text) == analyzer(name).terms(text.lower())
