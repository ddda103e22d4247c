"""What one source file defines, imports and exports: read from its syntax tree, never run."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hybrid.corpus.lines import read_bytes
from hybrid.corpus.python.find import Module
from hybrid.corpus.python.signature import format_arguments, format_result

Kind: TypeAlias = Literal["module", "class", "function", "method", "property"]
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Entry:
    """One documented thing: its dotted name inside the module, what it is, and what is said of it."""

    name: str
    kind: Kind
    signature: str
    doc: str
    line: int | None
    implementation: Literal["python", "c"] = "python"


@dataclass(frozen=True, slots=True)
class Import:
    """One name taken from another module at the top level: ``from module import name as alias``."""

    module: str
    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class Source:
    """The contents of one source file.

    ``entries``: top-level name -> the entry itself, then those of its members. ``exports``: the
    literal ``__all__``, or None where there is none or it is computed.
    """

    module: Module
    doc: str
    entries: Mapping[str, Sequence[Entry]]
    imports: Sequence[Import]
    exports: frozenset[str] | None

    def exported(self) -> list[str]:
        """Return the names that ``import *`` would bring, among those defined or imported here."""
        names = {*self.entries, *(item.alias for item in self.imports)}
        chosen = names if self.exports is None else names & self.exports
        return sorted(name for name in chosen if not name.startswith("_"))


def parse(module: Module) -> Source:
    """Read a module.

    Raises:
        SyntaxError: the file is not in the syntax of the running Python.
        CorpusError: the file cannot be read.

    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes in other people's strings
        try:
            tree = ast.parse(read_bytes(module.path), filename=module.file)
        except ValueError as error:  # a null byte
            raise SyntaxError(str(error)) from error
    entries: dict[str, list[Entry]] = {}
    imports: list[Import] = []
    for node in _statements(tree.body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            _define(entries, node.name, _entries(node))
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, module)
            imports += [Import(origin, item.name, item.asname or item.name) for item in node.names]
    return Source(module, ast.get_docstring(tree) or "", entries, imports, _exports(tree))


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a block, and of the conditions inside it, in order."""
    for node in body:
        if isinstance(node, ast.If):
            if not _runs_as_script(node.test):
                yield from _statements(node.body)
            yield from _statements(node.orelse)
        elif isinstance(node, ast.Try):
            yield from _statements(node.body)
            for handler in node.handlers:
                yield from _statements(handler.body)
            yield from _statements(node.orelse)
            yield from _statements(node.finalbody)
        elif isinstance(node, ast.With):
            yield from _statements(node.body)
        else:
            yield node


def _runs_as_script(test: ast.expr) -> bool:
    """Return whether a condition is ``__name__ == "__main__"``."""
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _entries(node: ast.ClassDef | Function, prefix: str = "") -> list[Entry]:
    """Return the entry of a definition, then those of its public members."""
    name = prefix + node.name
    if not isinstance(node, ast.ClassDef):
        return [_function(node, name, "method" if prefix else "function")]
    members: dict[str, list[Entry]] = {}
    constructors: dict[str, Function] = {}
    for inner in _statements(node.body):
        if isinstance(inner, ast.FunctionDef) and inner.name in ("__init__", "__new__"):
            constructors.setdefault(inner.name, inner)
        elif isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            _define(members, inner.name, _entries(inner, f"{name}."))
    return [_class(node, name, constructors), *(entry for group in members.values() for entry in group)]


def _class(node: ast.ClassDef, name: str, constructors: Mapping[str, Function]) -> Entry:
    """Return the entry of a class, with what its constructor says."""
    constructor = constructors.get("__init__") or constructors.get("__new__")
    signature = f"class {node.name}"
    if constructor:
        signature += format_arguments(constructor.args, bound=True)
    docs = [ast.get_docstring(node), ast.get_docstring(constructor) if constructor else None]
    return Entry(name, "class", signature, "\n\n".join(doc for doc in docs if doc), node.lineno)


def _function(node: Function, name: str, kind: Kind) -> Entry:
    """Return the entry of a function, method or property."""
    decorators = {ast.unparse(item).rpartition(".")[2] for item in node.decorator_list}
    doc = ast.get_docstring(node) or ""
    if kind == "method" and decorators & {"property", "cached_property", "getter", "setter", "deleter"}:
        return Entry(name, "property", node.name + format_result(node.returns), doc, node.lineno)
    bound = kind == "method" and "staticmethod" not in decorators
    start = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    signature = f"{start}{node.name}{format_arguments(node.args, bound=bound)}{format_result(node.returns)}"
    return Entry(name, kind, signature, doc, node.lineno)


def _define(entries: dict[str, list[Entry]], name: str, found: list[Entry]) -> None:
    """Note a definition, unless it is private or an earlier one of that name says more."""
    if name.startswith("_"):
        return
    if name not in entries or (found[0].doc and not entries[name][0].doc):
        entries[name] = found


def _origin(node: ast.ImportFrom, module: Module) -> str:
    """Return the full name of the module that an import takes from."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    up = node.level - 1 if module.is_package else node.level
    base = parts[: len(parts) - up]
    return ".".join([*base, node.module] if node.module else base)


def _exports(tree: ast.Module) -> frozenset[str] | None:
    """Return a literal ``__all__``; None if there is none, or if any part of it is computed."""
    names: set[str] | None = None
    for node in _statements(tree.body):
        value = _added_to_all(node)
        if value is None:
            continue
        try:
            names = (names or set()) | {str(name) for name in ast.literal_eval(value)}
        except (ValueError, TypeError):
            return None
    return None if names is None else frozenset(names)


def _added_to_all(node: ast.stmt) -> ast.expr | None:
    """Return the expression that a statement sets ``__all__`` to, or adds to it."""
    match node:
        case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
            return value
        case ast.AugAssign(target=ast.Name(id="__all__"), value=value):
            return value
        case ast.AnnAssign(target=ast.Name(id="__all__"), value=value):
            return value
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="__all__")), args=[argument, *_])):
            if node.value.func.attr == "append":  # type: ignore[attr-defined]
                return ast.List([argument], ast.Load())
            return argument
    return None


def clean(doc: str | None) -> str:
    """Return a docstring without its indentation and outer blank lines."""
    return inspect.cleandoc(doc) if doc else ""
