from __future__ import annotations

import builtins
import inspect
import logging
import re
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from hybrid.corpus import read
from hybrid.errors import CorpusError
from hybrid.types import Document

PACKAGE = {
    "__init__.py": '''
"""The package."""
raise SystemExit("source must be read, never run")
from ._core import hidden, Shown as Renamed, Shown
from .public import Moved
from ._all import *
from os import path
__all__ = ["hidden", "Shown", "Moved", "listed", "path"]
def own(): "Own."
''',
    "_core.py": '''
"""Private."""
def hidden(a, /, b, *rest, c=1, **more) -> int:
    """Do it.

    Then:
        indented
    """
def unused(): "Not offered."
class Shown:
    """Shown."""
    def __init__(self, x: "int" = 3): "Build it."
    def method(self): "Method."
    def _private(self): "Private."
    def silent(self): pass
    @staticmethod
    def static(a): "Static."
    @classmethod
    def make(cls, *, a): "Class method."
    @property
    def value(self) -> int: "Value."
    @value.setter
    def value(self, new): "Setter."
    async def wait(self): "Wait."
    class Inner:
        "Inner."
        def deep(self): "Deep."
    class _Inner:
        "Inner."
        def deep(self): "Deep."
''',
    "_all.py": 'def listed(): "Listed."\ndef unlisted(): "Unlisted."\n__all__ = ["listed"]',
    "public.py": '''
"""Public."""
import sys
from .public2 import borrowed
class Moved:
    def __new__(cls, size): "Only the constructor says something."
    def method(self): "Of moved."
if sys.platform == "none":
    def either(): pass
else:
    def either(a): "First that says something."
try:
    def either(a, b): "Second."
finally:
    pass
if __name__ == "__main__":
    def main(): "Not for users."
def long(a=("a default that", "goes on for so long", "that no one reads it")): "Long."
async def later(a: list[int], b: str = "x") -> None: "Later."
''',
    "public2.py": '"""Second."""\ndef borrowed(): "Borrowed."\ndef raw(): r"""A \\d."""',
    "broken.py": "def broken(:\n",
    "nul.py": 'def nul(): "Nul."\0',
    "latin.py": '# -*- coding: latin-1 -*-\n"""Caf\u00e9."""\n',
    "escape.py": 'def escape(): "A \\d escape."',
    "undocumented.py": "def nothing(): pass",
    "tests/__init__.py": '"""Tests."""',
    "sub/__init__.py": "from .deep import *\nfrom ..public import either",
    "sub/deep.py": 'def down(): "Down."',
    "folder/module.py": '"""Not in a package."""',
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "hybrid_test_package"
    for file, content in PACKAGE.items():
        path = tmp_path / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "latin-1" if file == "latin.py" else "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def summary(name: str) -> dict[str, str]:
    return {
        document.id.removeprefix("hybrid_test_package").removeprefix("."): document.text
        for document in read(f"python:{name}")
    }


def test_a_whole_package(package: str) -> None:
    assert summary(package) == {
        "": "The package.",
        "hidden": "hidden(a, /, b, *rest, c=1, **more) -> int\n\nDo it.\n\nThen:\n    indented",
        "Shown": "class Shown(x: 'int' = 3)\n\nShown.\n\nBuild it.",
        "Shown.method": "method()\n\nMethod.",
        "Shown.static": "static(a)\n\nStatic.",
        "Shown.make": "make(*, a)\n\nClass method.",
        "Shown.value": "value -> int\n\nValue.",
        "Shown.wait": "async wait()\n\nWait.",
        "Shown.Inner": "class Inner\n\nInner.",
        "Shown.Inner.deep": "deep()\n\nDeep.",
        "listed": "listed()\n\nListed.",
        "own": "own()\n\nOwn.",
        "Moved": "class Moved(size)\n\nOnly the constructor says something.",
        "Moved.method": "method()\n\nOf moved.",
        "public": "Public.",
        "public.either": "either(a)\n\nFirst that says something.",
        "public.long": "long(a=…)\n\nLong.",
        "public.later": "async later(a: list[int], b: str = 'x') -> None\n\nLater.",
        "public2": "Second.",
        "public2.borrowed": "borrowed()\n\nBorrowed.",
        "public2.raw": "raw()\n\nA \\d.",
        "latin": "Café.",
        "escape.escape": "escape()\n\nA \\d escape.",
        "sub.down": "down()\n\nDown.",
    }


def test_one_document_exactly(package: str) -> None:
    documents = {document.id: document for document in read(f"python:{package}")}
    assert list(documents) == sorted(documents)
    assert documents[f"{package}.Shown.wait"] == Document(
        f"{package}.Shown.wait",
        "async wait()\n\nWait.",
        f"{package}.Shown.wait",
        {
            "kind": "method",
            "module": package,
            "package": package,
            "name": "wait",
            "implementation": "python",
            "file": f"{package}/_core.py",
            "line": 24,
        },
    )
    assert package not in sys.modules


def test_one_module_or_subpackage_of_it(package: str) -> None:
    assert set(summary(f"{package}.public2")) == {"public2", "public2.borrowed", "public2.raw"}
    assert set(summary(f"{package}.sub")) == {"sub.down"}
    assert package not in sys.modules


def test_files_in_another_syntax_are_logged(package: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hybrid"):
        list(read(f"python:{package}"))
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        f"left out {package}/broken.py",
        f"left out {package}/nul.py",
    ]


def test_a_namespace_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "hybrid_test_namespace"
    for part in ("one", "two"):
        path = tmp_path / part / name / part / "__init__.py"
        path.parent.mkdir(parents=True)
        path.write_text(f'"""Part {part}."""', "utf-8")
        monkeypatch.syspath_prepend(tmp_path / part)
    assert [document.id for document in read(f"python:{name}")] == [f"{name}.one", f"{name}.two"]
    assert [document.text for document in read(f"python:{name}.two")] == ["Part two."]


@pytest.fixture(scope="module")
def whole() -> dict[str, Document]:
    return {document.id: document for document in read("python:stdlib")}


@pytest.mark.parametrize("name", ["json", "os.path", "math", "email.mime", "builtins"])
def test_a_part_of_the_standard_library_is_named_as_in_the_whole(
    whole: dict[str, Document], name: str
) -> None:
    part = list(read(f"python:{name}"))
    assert len(part) > 10
    assert [whole[document.id] for document in part] == part


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("hybrid_no_such_package", "is not installed"),
        ("hybrid_no_such_package.inner", "is not installed"),
        ("json.nothing", "was not found in 'json'"),
        ("json.dumps", "was not found in 'json'"),
        ("sys.path", "was not found in 'sys'"),
        ("__main__", "cannot be located (__main__.__spec__ is None)"),
        ("", "is not the dotted name of a module"),
        ("json..decoder", "is not the dotted name of a module"),
        ("../json", "is not the dotted name of a module"),
        ("os path", "is not the dotted name of a module"),
    ],
)
def test_unknown_names_are_refused_at_once(monkeypatch: pytest.MonkeyPatch, name: str, problem: str) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    with pytest.raises(
        CorpusError, match=re.escape(f"python:{name}: {name!r} {problem}; give 'python:stdlib'")
    ):
        read(f"python:{name}")


def test_a_package_that_says_nothing_is_refused(package: str) -> None:
    with pytest.raises(CorpusError, match="has no public documentation"):
        list(read(f"python:{package}.undocumented"))


def test_a_foreign_extension_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"hybrid_test_extension{EXTENSION_SUFFIXES[0]}").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CorpusError, match="has no Python source"):
        read("python:hybrid_test_extension")


def test_c_signatures_agree_with_inspect() -> None:
    shown = {document.id: document.text.split("\n")[0] for document in read("python:builtins")}
    checked = 0
    for name in ("abs", "sorted", "print", "len", "isinstance", "pow"):
        signature = str(inspect.signature(getattr(builtins, name)))
        assert shown[name] == f"{name}{signature}"
        checked += 1
    for owner, name in (
        (str, "join"),
        (str, "encode"),
        (list, "append"),
        (bytes, "split"),
        (int, "to_bytes"),
    ):
        parameters = list(inspect.signature(getattr(owner, name)).parameters.values())[1:]
        expected = str(inspect.Signature(parameters))
        assert shown[f"{owner.__name__}.{name}"] == f"{name}{expected}"
        checked += 1
    assert checked == 11


def test_a_file_that_takes_the_name_of_a_c_module_is_never_run(tmp_path: Path) -> None:
    for name in ("math", "resource", "array", "_socket"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('run')", "utf-8")
    code = (
        f"import sys, hybrid.corpus.python; sys.path.insert(0, {str(tmp_path)!r})\n"
        "for name in ('math', 'resource', 'array', '_socket'): sys.modules.pop(name, None)\n"
        "ids = {d.id for d in hybrid.corpus.read('python:stdlib')}\n"
        "print('resource.getrusage' in ids, 'json.dumps' in ids, len(ids) > 4000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False True True\n", "")


def test_importing_a_docstring_does_not_run_the_module_it_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hybrid_test_victim.py").write_text("raise SystemExit('run')", "utf-8")
    (tmp_path / "hybrid_test_thief.py").write_text(
        "from hybrid_test_victim import __doc__, x\nclass A: 'A.'", "utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert [document.id for document in read("python:hybrid_test_thief")] == ["hybrid_test_thief.A"]
