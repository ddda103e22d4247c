"""Collections of ir_datasets, registered there as its own are."""

from __future__ import annotations

from typing import NamedTuple

import pytest

import hybrid
from hybrid.errors import CorpusError

ir_datasets = pytest.importorskip("ir_datasets")

from ir_datasets.datasets.base import Dataset  # noqa: E402
from ir_datasets.formats import GenericDoc, TrecQrels, TrecQueries, TsvDocs, TsvQueries  # noqa: E402
from ir_datasets.util import LocalDownload  # noqa: E402

TOPICS = """<top>
<num> Number: 301
<title> International Organized Crime
<desc> Description:
Identify organizations.
<narr> Narrative:
A relevant document names one.
</top>
"""


class Titled(NamedTuple):
    doc_id: str
    title: str
    text: str

    def default_text(self) -> str:
        return f"{self.title} {self.text}"


class Report(NamedTuple):
    doc_id: str
    headline: str
    body: str

    def default_text(self) -> str:
        return f"{self.headline}\n{self.body}"


@pytest.fixture
def registered(tmp_path):
    """Register a dataset under a name for one test."""
    names = []

    def register(name, *providers):
        ir_datasets.registry.register(name, Dataset(*providers))
        names.append(name)
        return f"ir_datasets:{name}"

    yield register
    for name in names:
        del ir_datasets.registry._registered[name]


def write(path, text):
    path.write_text(text, "utf-8")
    return LocalDownload(path)


def test_documents_queries_and_judgements(tmp_path, registered):
    docs = TsvDocs(write(tmp_path / "d", "d1\ta cell divides\nd2\trivers run\n"), GenericDoc)
    queries = TsvQueries(write(tmp_path / "q", "q1\thow do cells divide\nq2\twhere\n"))
    qrels = TrecQrels(write(tmp_path / "r", "q1 0 d1 2\nq2 0 d2 1\nq2 0 d1 -1\n"), {})
    source = registered("made/test", docs, queries, qrels)
    assert list(hybrid.read(source)) == [
        hybrid.Document("d1", "a cell divides"),
        hybrid.Document("d2", "rivers run"),
    ]
    assert hybrid.read_queries(source) == [("q1", "how do cells divide"), ("q2", "where")]
    assert hybrid.read_qrels(source) == {"q1": {"d1": 2}, "q2": {"d2": 1, "d1": -1}}


def test_titles_are_kept_apart_and_other_fields_are_joined_as_theirs(tmp_path, registered):
    titled = TsvDocs(write(tmp_path / "t", "d1\tCells\ta cell divides\n"), Titled)
    assert list(hybrid.read(registered("made/titled", titled))) == [
        hybrid.Document("d1", "a cell divides", "Cells")
    ]
    report = TsvDocs(write(tmp_path / "b", "d1\tFlood\tthe river rose\n"), Report)
    assert list(hybrid.read(registered("made/report", report))) == [
        hybrid.Document("d1", "Flood\nthe river rose")
    ]


def test_the_title_of_a_topic_is_the_query(tmp_path, registered):
    source = registered("made/topics", TrecQueries(write(tmp_path / "topics", TOPICS)))
    assert hybrid.read_queries(source) == [("301", "International Organized Crime")]


def test_what_is_not_there_is_named(tmp_path, registered):
    source = registered("made/only", TsvQueries(write(tmp_path / "q", "q1\tone\n")))
    with pytest.raises(CorpusError, match="ir_datasets:made/only has no docs, only queries"):
        list(hybrid.read(source))
    with pytest.raises(CorpusError, match=r"no collection 'made/nothing'; https://ir-datasets\.com"):
        hybrid.read("ir_datasets:made/nothing")
    with pytest.raises(CorpusError, match="has no '#'; its splits are names too, such as made/only/test"):
        hybrid.read(f"{source}#test")


def test_files_that_cannot_be_had(tmp_path, registered):
    source = registered("made/lost", TsvQueries(LocalDownload(tmp_path / "lost")))
    with pytest.raises(CorpusError, match=r"cannot give the queries of ir_datasets:made/lost: .*lost"):
        hybrid.read_queries(source)
