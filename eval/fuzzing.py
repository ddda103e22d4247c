"""What `fuzz.py` calls with one input after the other: each target makes a function of atheris' data.

A target raises on what must not be: two answers to one text, a wrong answer, an answer with status 500.
Errors of the package are right answers, and anything else that is raised is a finding.
"""

from __future__ import annotations

import base64
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote


def _analyzers(folder: Path) -> Callable[[Any], None]:
    import hybrid

    known = [hybrid.analyzer(name) for name in hybrid.analyzer_names()]

    def run(data: Any) -> None:
        chosen = known[data.ConsumeIntInRange(0, len(known) - 1)]
        text = data.ConsumeUnicodeNoSurrogates(4000)
        if [*chosen.terms(text)] != [*chosen.terms(text)]:
            raise AssertionError("two answers to one text")

    return run


def _filters(folder: Path) -> Callable[[Any], None]:
    import hybrid

    pipeline = hybrid.Pipeline(branches=[hybrid.BM25(analyzer="simple")])
    documents = [
        hybrid.Document(str(n), "word", metadata={"a": [n, str(n), None], "b": {"c": n % 2 == 0}})
        for n in range(9)
    ]
    index = hybrid.create(folder / "index", documents, pipeline)

    def run(data: Any) -> None:
        try:
            where = json.loads(data.ConsumeUnicodeNoSurrogates(2000))
        except (ValueError, RecursionError):
            where = _value(data, 0)
        found = {hit.id for hit in index.search("word", 20, where)}
        if isinstance(where, dict):
            rest = {hit.id for hit in index.search("word", 20, {"$not": where})}
            if found & rest or len(found | rest) != len(documents):
                raise AssertionError("a filter and its complement do not make up all documents")

    return run


def _value(data: Any, depth: int) -> Any:
    """Return a filter that is nearly right."""
    keys = (
        "$and",
        "$or",
        "$nor",
        "$not",
        "$eq",
        "$ne",
        "$in",
        "$nin",
        "$gt",
        "$lte",
        "$exists",
        "a",
        "b",
        "b.c",
    )
    kind = data.ConsumeIntInRange(0, 6 if depth < 6 else 3)
    if kind == 0:
        return data.ConsumeInt(4)
    if kind == 1:
        return data.ConsumeFloat()
    if kind == 2:
        return data.ConsumeBool()
    if kind == 3:
        return data.ConsumeUnicodeNoSurrogates(5)
    if kind == 4:
        return [_value(data, depth + 1) for _ in range(data.ConsumeIntInRange(0, 3))]
    return {
        data.PickValueInList([*keys]): _value(data, depth + 1) for _ in range(data.ConsumeIntInRange(0, 3))
    }


def _jsonl(folder: Path) -> Callable[[Any], None]:
    import hybrid

    path = folder / "corpus.jsonl"

    def run(data: Any) -> None:
        path.write_bytes(data.ConsumeBytes(4000))
        for document in hybrid.read(path):
            if not document.id:
                raise AssertionError("a document without an id")

    return run


def _recipes(folder: Path) -> Callable[[Any], None]:
    import hybrid

    def run(data: Any) -> None:
        pipeline = hybrid.parse_recipe(data.ConsumeUnicodeNoSurrogates(2000))
        if hybrid.parse_recipe(hybrid.format_recipe(pipeline)) != pipeline:
            raise AssertionError("a recipe that does not come back")

    return run


def _cursors(folder: Path) -> Callable[[Any], None]:
    import hybrid

    pipeline = hybrid.Pipeline(branches=[hybrid.BM25(analyzer="simple")])
    documents = [hybrid.Document(str(n), "word") for n in range(9)]
    index = hybrid.create(folder / "index", documents, pipeline)
    right = index.search("word", 3).cursor

    def run(data: Any) -> None:
        content = bytearray(base64.urlsafe_b64decode(str(right) + "=="))
        for _ in range(data.ConsumeIntInRange(0, 4)):
            content[data.ConsumeIntInRange(0, len(content) - 1)] = data.ConsumeIntInRange(0, 255)
        text = base64.urlsafe_b64encode(content).decode() + data.ConsumeUnicodeNoSurrogates(9)
        result = index.search("word", 3, cursor=text)
        if text.rstrip("=") != right and len(result):
            raise AssertionError("a changed cursor was taken")

    return run


def _files(folder: Path) -> Callable[[Any], None]:
    import hybrid

    suffixes = ("html", "eml", "mbox", "csv", "tsv", "ipynb", "md", "py", "txt", "xml", "jsonl.gz", "epub")

    def run(data: Any) -> None:
        suffix = suffixes[data.ConsumeIntInRange(0, len(suffixes) - 1)]
        path = folder / ("Posts.xml" if suffix == "xml" else f"file.{suffix}")
        if suffix == "epub":
            _book(path, data)
        else:
            path.write_bytes(data.ConsumeBytes(4000))
        for document in hybrid.read(path, columns=hybrid.Columns() if suffix in ("csv", "tsv") else None):
            document.text.encode()
            json.dumps(document.metadata, allow_nan=False)

    return run


def _book(path: Path, data: Any) -> None:
    """Write a zip file of three members."""
    with zipfile.ZipFile(path, "w") as book:
        for name in ("META-INF/container.xml", "a.opf", "b.xhtml"):
            book.writestr(name, data.ConsumeBytes(data.ConsumeIntInRange(0, 1500)))


def _markup(folder: Path) -> Callable[[Any], None]:
    import hybrid
    from hybrid.corpus.files.markup import html_text

    cleaning = hybrid.Cleaning(html=True)

    def run(data: Any) -> None:
        text = data.ConsumeUnicodeNoSurrogates(4000)
        html_text(text)
        cleaning.document(text)

    return run


def _chunkers(folder: Path) -> Callable[[Any], None]:
    from hybrid.text.chunking import Code, Fixed, Headings, Recursive, Sentences, Words

    def run(data: Any) -> None:
        size, overlap = data.ConsumeIntInRange(1, 40), data.ConsumeIntInRange(0, 5)
        if overlap >= size:
            return
        chunkers = (
            Fixed(size, overlap),
            Recursive(size, overlap),
            Sentences(count=1 + overlap, overlap=0, size=size),
            Headings("markdown", size, overlap),
            Headings("html", size, overlap),
            Code("python", size, overlap),
            Code(None, size, overlap),
        )
        chosen = chunkers[data.ConsumeIntInRange(0, len(chunkers) - 1)]
        text = data.ConsumeUnicodeNoSurrogates(4000)
        units, done = Words(), 0
        for passage in chosen.passages(text, units):
            if not 0 <= passage.start < passage.end <= len(text):
                raise AssertionError(f"a passage from {passage.start} to {passage.end} of {len(text)}")
            if units.count(passage.of(text)) > size:
                raise AssertionError("a passage is longer than was asked for")
            if text[done : passage.start].strip():
                raise AssertionError("words between two passages are in neither")
            done = max(done, passage.end)
        if text[done:].strip():
            raise AssertionError("the last words are in no passage")

    return run


def _small_index(path: Path) -> None:
    import hybrid

    branches = [
        hybrid.BM25(analyzer="simple"),
        hybrid.Dense(dimension=4),
        hybrid.Sparse(model=None),
        hybrid.Multivector(model=None, dimension=4),
    ]
    documents = [
        hybrid.Document(
            f"d{n}",
            f"word{n % 3} common words of number{n}",
            f"title {n}",
            {"n": n, "tags": ["a", str(n)]},
            vectors={
                "dense": [1.0, n, n % 2, 0.5],
                "sparse": {"common": 1.0, f"term{n % 3}": 0.5},
                "multivector": [[1.0, n, 0.0, 1.0], [0.5, 0.5, n % 3, 1.0]],
            },
            expires=4e9 if n % 2 else None,
        )
        for n in range(1, 12)
    ]
    with hybrid.create(path, documents, hybrid.Pipeline(branches=branches)) as index:
        index.delete(["d3"])


def _asked(path: Path) -> Any:
    """Ask an index all kinds of things, and return the answers."""
    import hybrid

    vectors = {
        "dense": [1.0, 0.0, 0.0, 1.0],
        "sparse": {"common": 1.0},
        "multivector": [[1.0, 0.0, 0.0, 1.0]],
    }
    with hybrid.open(path) as index:
        found = [
            index.search(hybrid.Query("common word1", vectors), 20, where)
            for where in (None, {"n": {"$gt": 3}}, {"tags": "a"})
        ]
        stored = [(each.id, each.text, each.metadata) for each in index.documents()]
        return [[(hit.id, hit.score) for hit in result] for result in found], stored


def _segments(folder: Path) -> Callable[[Any], None]:
    """Bytes of a segment file are changed; the answers stay, or the damage is refused."""
    path = folder / "index"
    _small_index(path)
    right = _asked(path)
    (file,) = (path / "segments").glob("*.seg")
    whole = file.read_bytes()

    def run(data: Any) -> None:
        content = bytearray(whole)
        for _ in range(data.ConsumeIntInRange(1, 5)):
            content[data.ConsumeIntInRange(0, len(content) - 1)] = data.ConsumeIntInRange(0, 255)
        if data.ConsumeBool():
            del content[data.ConsumeIntInRange(0, len(content) - 1) :]
        file.write_bytes(content)
        if _asked(path) != right:
            raise AssertionError("an answer from damaged bytes")

    return run


def _arrays(folder: Path) -> Callable[[Any], None]:
    """Arrays of a segment are changed and their checksums made right; verify says what is wrong with them.

    What verify finds whole must be searched without a raw error.
    """
    import hybrid
    from hybrid.index import Segment

    pristine, path = folder / "pristine", folder / "index"
    _small_index(pristine)
    (file,) = (pristine / "segments").glob("*.seg")
    segment = Segment.open(file)
    names = [name for name in segment.names() if segment.size_of(name)]

    def run(data: Any) -> None:
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(pristine, path)
        name = names[data.ConsumeIntInRange(0, len(names) - 1)]
        _reseal(path, path / "segments" / file.name, name, _changed(segment[name], data))
        if hybrid.verify(path, deep=data.ConsumeBool()).ok:
            _asked(path)

    return run


def _changed(array: Any, data: Any) -> Any:
    """Return an array with some other bytes, or another length."""
    import numpy as np

    content = bytearray(array.tobytes())
    for _ in range(data.ConsumeIntInRange(0, 4)):
        content[data.ConsumeIntInRange(0, len(content) - 1)] = data.ConsumeIntInRange(0, 255)
    flat = np.frombuffer(bytes(content), array.dtype)
    change = data.ConsumeIntInRange(0, 4)
    if change == 0:
        return flat[: data.ConsumeIntInRange(0, len(flat))]
    if change == 1:
        return np.concatenate([flat, flat[:1]])
    return flat.reshape(array.shape)


def _reseal(path: Path, file: Path, name: str, array: Any) -> None:
    """Write a segment with another array, and its checksums everywhere."""
    from dataclasses import replace

    from hybrid.index import Segment, SegmentWriter
    from hybrid.index.catalog import CATALOG, read_catalog, remove_catalog, write_catalog

    segment = Segment.open(file)
    file.unlink()
    with SegmentWriter(file) as out:
        for each in segment.names():
            out.add(each, array if each == name else segment[each])
    state = read_catalog(path / CATALOG)
    (record,) = state.segments
    changed = replace(record, bytes=out.info.bytes, checksum=out.info.checksum)
    remove_catalog(path / CATALOG)
    write_catalog(path / CATALOG, None, replace(state, segments=(changed,)))


def _catalogue(folder: Path) -> Callable[[Any], None]:
    """Bytes of the catalogue are changed, or it has settings that no release writes."""
    from dataclasses import replace

    import hybrid
    from hybrid.index.catalog import CATALOG, read_catalog, remove_catalog, write_catalog

    path = folder / "index"
    _small_index(path)
    right, state = _asked(path), read_catalog(path / CATALOG)
    whole = (path / CATALOG).read_bytes()
    keys = [*state.settings]

    def run(data: Any) -> None:
        remove_catalog(path / CATALOG)
        if data.ConsumeBool():
            content = bytearray(whole)
            for _ in range(data.ConsumeIntInRange(1, 5)):
                content[data.ConsumeIntInRange(0, len(content) - 1)] = data.ConsumeIntInRange(0, 255)
            (path / CATALOG).write_bytes(content)
            if _asked(path) != right:
                raise AssertionError("an answer from a damaged catalogue")
            return
        settings = json.loads(json.dumps(dict(state.settings)))
        settings[keys[data.ConsumeIntInRange(0, len(keys) - 1)]] = _value(data, 3)
        _nudge(settings, data)
        try:
            write_catalog(path / CATALOG, None, replace(state, settings=settings))
        except ValueError:  # not JSON
            return
        hybrid.verify(path)
        _asked(path)

    return run


def _nudge(value: Any, data: Any) -> None:
    """Change something somewhere in a JSON value."""
    for _ in range(8):
        inner = [*value.items()] if isinstance(value, dict) else [*enumerate(value)]
        if not inner:
            return
        key, chosen = inner[data.ConsumeIntInRange(0, len(inner) - 1)]
        if not isinstance(chosen, dict | list) or data.ConsumeBool():
            value[key] = _value(data, 5)
            return
        value = chosen


def _http(folder: Path) -> Callable[[Any], None]:
    """Requests with any path, query and body; no answer may be the server's fault."""
    from starlette.testclient import TestClient

    from hybrid.server.app import build_app
    from hybrid.server.keys import KeyRing
    from hybrid.server.settings import Settings

    _small_index(folder / "index")
    settings = Settings(write=True, hosts=("testserver",), refresh=1000.0, workers=1)
    _, guard = build_app({"index": folder / "index"}, settings, KeyRing())
    client = TestClient(guard)
    client.__enter__()
    routes = ("search", "search-many", "explain", "candidates", "documents", "stats", "")
    known = (
        "query",
        "k",
        "where",
        "branches",
        "fusion",
        "strict",
        "deadline",
        "cursor",
        "queries",
        "documents",
    )

    def run(data: Any) -> None:
        method = ("POST", "GET", "PUT", "DELETE")[data.ConsumeIntInRange(0, 3)]
        path = f"/indexes/index/{routes[data.ConsumeIntInRange(0, len(routes) - 1)]}"
        if data.ConsumeBool():
            path += "?" + quote(data.ConsumeUnicodeNoSurrogates(30), safe="=&%+;")
        body: Any = {
            data.PickValueInList([*known]): _value(data, 2) for _ in range(data.ConsumeIntInRange(0, 4))
        }
        if path.endswith(("search", "explain", "candidates")):
            body.setdefault("query", "common")
        content = data.ConsumeBytes(2000) if data.ConsumeBool() else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        answer = client.request(method, path, content=content, headers=headers)
        if answer.status_code == 500:
            raise AssertionError(f"{method} {path} {content!r}: {answer.text}")

    return run


TARGETS = {
    "analyzers": _analyzers,
    "filters": _filters,
    "jsonl": _jsonl,
    "recipes": _recipes,
    "cursors": _cursors,
    "files": _files,
    "markup": _markup,
    "chunkers": _chunkers,
    "segments": _segments,
    "arrays": _arrays,
    "catalogue": _catalogue,
    "http": _http,
}
