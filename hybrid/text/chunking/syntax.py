"""Where the definitions of source code stand, as tree-sitter reads it.

Grammars are packages of their own, one for each language (the extra ``code``); nothing is downloaded when
they are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import MissingDependencyError, PipelineError

LANGUAGES = {
    "python": ("tree_sitter_python", "language", (".py", ".pyi")),
    "javascript": ("tree_sitter_javascript", "language", (".js", ".jsx", ".mjs", ".cjs")),
    "typescript": ("tree_sitter_typescript", "language_typescript", (".ts", ".mts", ".cts")),
    "tsx": ("tree_sitter_typescript", "language_tsx", (".tsx",)),
    "java": ("tree_sitter_java", "language", (".java",)),
    "go": ("tree_sitter_go", "language", (".go",)),
    "rust": ("tree_sitter_rust", "language", (".rs",)),
    "c": ("tree_sitter_c", "language", (".c", ".h")),
    "cpp": ("tree_sitter_cpp", "language", (".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx")),
    "csharp": ("tree_sitter_c_sharp", "language", (".cs",)),
    "ruby": ("tree_sitter_ruby", "language", (".rb",)),
}
"""By name: the grammar's module, its function, and the suffixes of files."""

_DEFINITIONS = frozenset((
    "function_definition", "class_definition", "function_declaration", "generator_function_declaration",
    "class_declaration", "abstract_class_declaration", "method_definition", "interface_declaration",
    "enum_declaration", "type_alias_declaration", "internal_module", "module", "method_declaration",
    "constructor_declaration", "record_declaration", "annotation_type_declaration", "type_declaration",
    "function_item", "struct_item", "enum_item", "union_item", "trait_item", "impl_item", "mod_item",
    "macro_definition", "class_specifier", "struct_specifier", "union_specifier", "enum_specifier",
    "namespace_definition", "namespace_declaration", "struct_declaration", "property_declaration",
    "method", "singleton_method", "class",
))  # fmt: skip
"""Kinds of nodes, of all languages, that define something by name."""

_WRAPPERS = frozenset(("decorated_definition", "export_statement", "template_declaration"))
"""Kinds of nodes around a definition that belong to it."""

_COMMENTS = frozenset(("comment", "line_comment", "block_comment", "attribute_item"))
"""What stands before a definition and is about it."""

_NAMED = ("name", "declarator", "type")
"""The fields that say what a definition is called, the first that is there."""

_SEEN = 200_000
"""After so many nodes no more definitions are looked for."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition: where it begins (its comments and decorators too) and ends, in characters, and its name.

    ``inner``: the definitions in it.
    """

    start: int
    end: int
    name: str
    inner: tuple[Definition, ...] = ()


def language_of(path: str) -> str | None:
    """Return the language of a file by its suffix, None if it is none of these.

    >>> language_of("src/a.PY"), language_of("README")
    ('python', None)
    """
    lower = path.lower()
    found = (name for name, (_, _, suffixes) in LANGUAGES.items() if lower.endswith(suffixes))
    return next(found, None)


def definitions(text: str, language: str) -> tuple[Definition, ...]:
    """Return the outermost definitions of a source text, in order; what does not parse has fewer.

    Raises:
        MissingDependencyError: tree-sitter, or the language's grammar, is not installed.
        PipelineError: the language is none of `LANGUAGES`.
    """
    source = text.encode("utf-8", "surrogatepass")
    characters = _Characters(text, len(source))
    budget = iter(range(_SEEN))
    return tuple(_within(_parser(language).parse(source).root_node, characters, budget, 0))


@lru_cache(maxsize=len(LANGUAGES))
def _parser(language: str) -> Any:
    if language not in LANGUAGES:
        raise PipelineError(f"language is {language!r}; accepted: {', '.join(LANGUAGES)}")
    module, function, _ = LANGUAGES[language]
    try:
        tree_sitter, grammar = import_module("tree_sitter"), import_module(module)
    except ImportError as error:
        raise MissingDependencyError(str(error.name or module).replace("_", "-"), "code") from error
    return tree_sitter.Parser(tree_sitter.Language(getattr(grammar, function)()))


_DEEPEST = 16
"""Definitions in so many others are not looked into."""


def _within(root: Any, characters: _Characters, budget: Iterator[int], depth: int) -> Iterator[Definition]:
    """Yield the outermost definitions below a node, in order."""
    waiting = [root]
    while waiting and next(budget, None) is not None:
        node = waiting.pop()
        inner = _defined(node)
        if node is not root and inner is not None:
            deeper = () if depth == _DEEPEST else tuple(_within(inner, characters, budget, depth + 1))
            start = characters.at(_first(node).start_byte)
            yield Definition(start, characters.at(node.end_byte), _name(inner), deeper)
        else:
            waiting += reversed(node.named_children)


def _defined(node: Any) -> Any:
    """Return the node that defines something: this one, or the one that it wraps; None if there is none."""
    if node.type in _DEFINITIONS:
        body = not node.type.endswith("_specifier") or node.child_by_field_name("body") is not None
        return node if body and node.child_count else None
    if node.type in _WRAPPERS:
        return next((child for child in node.named_children if child.type in _DEFINITIONS), None)
    return None


def _first(node: Any) -> Any:
    """Return the first of the comments that stand right before a definition, or the definition."""
    before = node.prev_named_sibling
    while (
        before is not None
        and before.type in _COMMENTS
        and node.start_point[0] - before.end_point[0] <= 1
        and not _shares_a_line(before)
    ):
        node, before = before, before.prev_named_sibling
    return node


def _shares_a_line(comment: Any) -> bool:
    """Whether a comment stands after something on its line."""
    before = comment.prev_named_sibling
    return before is not None and before.end_point[0] == comment.start_point[0] and before.end_point[1] > 0


def _name(node: Any) -> str:
    """Return what a definition is called; of C the declarator's innermost name."""
    while node.type != "qualified_identifier":
        fields = (node.child_by_field_name(field) for field in _NAMED)
        inner = next((found for found in fields if found is not None), None)
        if inner is None:
            break
        node = inner
    if node.type in _DEFINITIONS:  # it has none, or in a node of its own (Go)
        node = next((child for child in node.named_children if child.child_by_field_name("name")), node)
        node = node.child_by_field_name("name") or node
    return "" if node.type in _DEFINITIONS else node.text.decode("utf-8", "replace")


class _Characters:
    """Where bytes of a UTF-8 text are, in characters."""

    def __init__(self, text: str, size: int) -> None:
        self._starts: NDArray[np.int64] | None = None
        if size != len(text):
            codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
            widths = 1 + (codes > 0x7F).astype(np.int64) + (codes > 0x7FF) + (codes > 0xFFFF)
            self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(widths)])

    def at(self, byte: int) -> int:
        """Return the character that begins at a byte, or has it."""
        if self._starts is None:
            return byte
        return int(np.searchsorted(self._starts, byte, "right")) - 1
