"""Source code is cut by its definitions, in every language that there is a grammar for."""

from __future__ import annotations

import ast
import inspect
import textwrap

import pytest

import hybrid
from hybrid import Document
from hybrid.text.chunking import Code, Words, split
from hybrid.text.chunking.syntax import LANGUAGES, definitions

PYTHON = '''"""Doc."""
import x

LIMIT = "é🙂"

# Adds one,
# and no more.
@cached
def f(a):
    return a + 1


class A(B):
    """Of A."""

    def g(self):
        return [1, 2]

    # about h
    async def h(self):
        def inner(): return 1
        return inner
x = f(1)
'''

CUT = {
    "javascript": ("function a(){}\nclass B { c(){} }\n", [("a",), ("B",)]),
    "typescript": ("export class A<T> {}\ninterface I { a: string }\n", [("A",), ("I",)]),
    "tsx": ("function A(){ return <div/>; }", [("A",)]),
    "java": ("/** Of A. */\nclass A { int f(){return 1;} }\nenum E { X }", [("A",), ("E",)]),
    "go": ("package a\n\n// F does\nfunc F() {}\ntype T struct { A int }\nfunc (t T) M() {}\n", [(), ("F",), ("T",), ("M",)]),  # noqa: E501
    "rust": ("#[derive(A)]\nstruct P;\nimpl P { fn a(&self) {} }\n", [("P",), ("P",)]),
    "c": ("#include <x>\n/* add */\nint *add(int a){ return 0; }\n", [(), ("add",)]),
    "cpp": ("namespace n { class V { void f(); }; }\nvoid V::f() {}\n", [("n",), ("V::f",)]),
    "csharp": ("class A { int P {get;set;} }\nstruct S {}\n", [("A",), ("S",)]),
    "ruby": ("module M\n def x; 1; end\nend\ndef y; 2; end\n", [("M",), ("y",)]),
}  # fmt: skip


def found(text, language, most):
    return [(p.headings, p.of(text)) for p in Code(language).passages(text, Words(most))]


def test_functions_and_classes_of_python():
    parts = found(PYTHON, "python", 30)
    assert [headings for headings, _ in parts] == [(), ("f",), ("A",), ()]
    assert parts[1][1].startswith("# Adds one,\n# and no more.\n@cached\ndef f(a):")
    assert parts[2][1].startswith("class A(B):")
    assert parts[3][1] == "x = f(1)\n"
    assert "".join(text for _, text in parts) == PYTHON


def test_a_class_that_is_too_long_is_cut_into_its_methods():
    parts = found(PYTHON, "python", 12)
    assert [headings for headings, _ in parts[-4:]] == [("A",), ("A", "g"), ("A", "h"), ()]
    assert parts[-2][1].startswith("    # about h\n    async def h(self):")


@pytest.mark.parametrize("language", CUT)
def test_every_language(language):
    text, headings = CUT[language]
    assert [path for path, _ in found(text, language, 25)] == headings


def test_every_grammar_is_tested():
    assert {"python", *CUT} == set(LANGUAGES)


@pytest.mark.parametrize("module", [ast, inspect, textwrap])
def test_pythons_own_parser_finds_the_same_definitions(module):
    text = inspect.getsource(module)
    tree = ast.parse(text)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    expected = [(node.name, node.end_lineno) for node in tree.body if isinstance(node, kinds)]
    names = {name for name, _ in expected}
    got = [(d.name, text.count("\n", 0, d.end) + 1) for d in definitions(text, "python")]
    assert [each for each in got if each[0] in names and each in expected] == expected


def test_documents_say_their_language():
    source = "def f():\n    return 1\n\ndef g():\n    return 2\n"
    said = {"b": {"path": "x/b.py"}, "c": {"language": "python"}}
    documents = [Document(id, source, metadata=said.get(id, {})) for id in ("a.py", "b", "c", "d.txt")]
    passages = list(split(documents, Code(), Words(100)))
    assert [p.title for p in passages] == ["f", "g", "f", "g", "f", "g", ""]


def test_a_missing_grammar_names_the_extra(monkeypatch):
    from hybrid.text.chunking import syntax

    monkeypatch.setitem(syntax.LANGUAGES, "python", ("tree_sitter_absent", "language", (".py",)))
    syntax._parser.cache_clear()
    with pytest.raises(
        hybrid.MissingDependencyError, match=r"'tree-sitter-absent'.*hybrid-retrieval\[code\]"
    ):
        definitions("x", "python")
    syntax._parser.cache_clear()
