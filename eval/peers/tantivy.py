"""tantivy through its Python binding. Parsing, searching and fetching the ids are all on the clock."""

from __future__ import annotations

from typing import Any

import tantivy

from peers.protocol import Answer, Mode, Task

HEAP = 512 << 20


def _schema(task: Task) -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    tokenizer = "terms" if task.pretokenised else "en_stem"
    builder.add_text_field("text", tokenizer_name=tokenizer, index_option="freq")
    return builder.build()


def _register(index: Any) -> Any:
    whitespace = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    index.register_tokenizer("terms", whitespace)
    return index


def build(task: Task) -> None:
    """Index into one segment, as an index that is only read would be."""
    index = _register(tantivy.Index(_schema(task), path=str(task.folder)))
    writer = index.writer(heap_size=HEAP, num_threads=task.threads)
    for id, text in zip(task.ids(), task.documents(), strict=True):
        writer.add_document(tantivy.Document(id=id, text=text))
    writer.commit()
    writer.wait_merging_threads()


def open(task: Task) -> Any:
    """Open the index."""
    return _register(tantivy.Index.open(str(task.folder)))


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Counting all matches is switched off, so that its block-max pruning can work."""
    searcher = engine.searcher()

    def search(text: str) -> Answer:
        query = engine.parse_query(text, ["text"])
        hits = searcher.search(query, k, count=False).hits
        return [(searcher.doc(address)["id"][0], score) for score, address in hits]

    return {"search": Mode(search, list)}
