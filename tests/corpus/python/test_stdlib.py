from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter

import pytest

import hybrid.corpus
from hybrid.types import Document

READ = "documents = list(__import__('hybrid.corpus').corpus.read('python:stdlib'))"


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return list(hybrid.corpus.read("python:stdlib"))


@pytest.fixture(scope="module")
def by_id(documents: list[Document]) -> dict[str, Document]:
    return {document.id: document for document in documents}


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    assert done.stderr == ""
    return done.stdout


def test_there_are_thousands_of_useful_size(documents: list[Document]) -> None:
    assert 4_000 < len(documents) < 10_000
    assert sum(len(document.content.split()) for document in documents) < 600_000
    kinds = Counter(document.metadata["kind"] for document in documents)
    assert set(kinds) == {"module", "class", "function", "method", "property"}
    assert all(count > 200 for count in kinds.values())


def test_ids_are_unique_sorted_and_public(documents: list[Document]) -> None:
    ids = [document.id for document in documents]
    assert ids == sorted(set(ids))
    assert not [name for name in ids if any(part.startswith("_") for part in name.split("."))]
    assert not {name.partition(".")[0] for name in ids} & {"test", "idlelib", "lib2to3", "this", "posix"}
    assert not [name for name in ids if "tests" in name.split(".")]


def test_every_document_is_whole(documents: list[Document]) -> None:
    for document in documents:
        assert document.title == document.id
        assert document.text.strip()
        metadata = document.metadata
        assert set(metadata) - {"file", "line"} == {"kind", "module", "package", "name", "implementation"}
        assert ({"file", "line"} <= set(metadata)) == (metadata["implementation"] == "python")
        assert document.id.endswith(metadata["name"])
        assert metadata["package"] == metadata["module"].split(".")[0]
        assert metadata["module"] == "builtins" or document.id.startswith(metadata["module"])


def test_a_python_function(by_id: dict[str, Document]) -> None:
    document = by_id["json.dumps"]
    signature, blank, first, *_ = document.text.split("\n")
    assert signature == (
        "dumps(obj, *, skipkeys=False, ensure_ascii=True, check_circular=True, allow_nan=True, cls=None, "
        "indent=None, separators=None, default=None, sort_keys=False, **kw)"
    )
    assert (blank, first) == ("", "Serialize ``obj`` to a JSON formatted ``str``.")
    assert {**document.metadata, "line": 0} == {
        "kind": "function",
        "module": "json",
        "package": "json",
        "name": "dumps",
        "implementation": "python",
        "file": "json/__init__.py",
        "line": 0,
    }
    assert document.metadata["line"] == json.dumps.__code__.co_firstlineno


def test_a_c_method(by_id: dict[str, Document]) -> None:
    document = by_id["str.split"]
    assert document.text.startswith(
        "split(sep=None, maxsplit=-1)\n\nReturn a list of the substrings in the string, using sep as"
    )
    assert document.metadata == {
        "kind": "method",
        "module": "builtins",
        "package": "builtins",
        "name": "split",
        "implementation": "c",
    }


def test_a_c_function(by_id: dict[str, Document]) -> None:
    assert by_id["math.sqrt"] == Document(
        "math.sqrt",
        "sqrt(x, /)\n\nReturn the square root of x.",
        "math.sqrt",
        {"kind": "function", "module": "math", "package": "math", "name": "sqrt", "implementation": "c"},
    )


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the text is that of Python 3.11")
def test_a_python_method(by_id: dict[str, Document]) -> None:
    document = by_id["pathlib.Path.read_text"]
    assert document.text == (
        "read_text(encoding=None, errors=None)\n\nOpen the file in text mode, read it, and close the file."
    )
    assert document.metadata["kind"] == "method"
    assert document.metadata["module"] == "pathlib"
    assert document.metadata["file"] == "pathlib.py"


@pytest.mark.parametrize(
    ("name", "kind", "implementation"),
    [
        ("json", "module", "python"),
        ("struct", "module", "python"),
        ("builtins", "module", "c"),
        ("os.path", "module", "python"),
        ("os.path.join", "function", "python"),
        ("os.path.exists", "function", "python"),
        ("os.listdir", "function", "c"),
        ("json.JSONDecoder", "class", "python"),
        ("json.JSONDecoder.raw_decode", "method", "python"),
        ("tomllib.loads", "function", "python"),
        ("asyncio.gather", "function", "python"),
        ("collections.deque.appendleft", "method", "c"),
        ("collections.abc.Mapping.values", "method", "python"),
        ("collections.OrderedDict", "class", "python"),
        ("decimal.Decimal.sqrt", "method", "python"),
        ("xml.etree.ElementTree.Element", "class", "python"),
        ("sqlite3.Connection.execute", "method", "c"),
        ("pathlib.PurePath.parent", "property", "python"),
        ("open", "function", "c"),
        ("ValueError", "class", "c"),
    ],
)
def test_the_public_name_is_the_one_users_write(
    by_id: dict[str, Document], name: str, kind: str, implementation: str
) -> None:
    assert by_id[name].metadata["kind"] == kind
    assert by_id[name].metadata["implementation"] == implementation


@pytest.mark.parametrize(
    "name", ["json.decoder.JSONDecoder", "io.open", "posix.listdir", "os.Mapping", "IOError", "genericpath"]
)
def test_nothing_is_repeated_under_a_second_name(by_id: dict[str, Document], name: str) -> None:
    assert name not in by_id


def test_no_python_module_is_imported_and_nothing_is_printed() -> None:
    imported = run(
        "import sys, hybrid.corpus.python; before = set(sys.modules)\n"
        f"{READ}\n"
        "for name in sorted(set(sys.modules) - before):\n"
        "    print(name, getattr(sys.modules[name.partition('.')[0]].__spec__, 'origin', None))\n"
    ).splitlines()
    assert imported
    for line in imported:
        name, origin = line.split(" ", 1)
        assert name.partition(".")[0] in sys.stdlib_module_names
        assert origin == "built-in" or origin.endswith((".so", ".pyd")), line


def test_the_result_is_the_same_under_any_hash_seed(documents: list[Document]) -> None:
    code = f"import hashlib; {READ}; print(hashlib.sha256(repr(documents).encode()).hexdigest())"
    expected = hashlib.sha256(repr(documents).encode()).hexdigest()
    assert [run(code, PYTHONHASHSEED=seed).strip() for seed in ("0", "12345")] == [expected] * 2
