"""Which reader reads which file: by suffix, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import PurePath
from types import MappingProxyType
from typing import TypeAlias

from hybrid.corpus.files.found import FoundFile, Part
from hybrid.corpus.files.report import Note

FileReader: TypeAlias = Callable[[FoundFile, Note], Iterator[Part]]

VERSION = 1
"""Raised when readers make other documents of the same files: then the next sync reads all again."""

READERS = MappingProxyType(
    {
        "text": "text:read_text",
        "markdown": "text:read_markdown",
        "code": "text:read_code",
        "html": "html:read_html",
        "pdf": "pdf:read_pdf",
        "docx": "docx:read_docx",
        "epub": "epub:read_epub",
        "csv": "tables:read_csv_rows",
        "jsonl": "tables:read_jsonl_rows",
        "parquet": "parquet:read_parquet_rows",
        "sqlite": "tables:read_sqlite_rows",
        "mail": "mail:read_message",
        "mbox": "mail:read_mbox",
        "posts": "stackexchange:read_posts",
        "notebook": "notebook:read_notebook",
    }
)
"""Kind of file -> where its reader is in this package; imported when first used."""

_SUFFIXES = {
    "text": "txt text log rst adoc asciidoc org tex",
    "markdown": "md markdown mdx",
    "html": "html htm xhtml",
    "pdf": "pdf",
    "docx": "docx",
    "epub": "epub",
    "csv": "csv tsv csv.gz tsv.gz",
    "jsonl": "jsonl ndjson jsonl.gz ndjson.gz",
    "parquet": "parquet",
    "sqlite": "sqlite sqlite3 db",
    "mail": "eml",
    "mbox": "mbox",
    "notebook": "ipynb",
}
KINDS = MappingProxyType({f".{s}": kind for kind, suffixes in _SUFFIXES.items() for s in suffixes.split()})
"""Suffix -> kind, of what is not source code."""

_LANGUAGES = {
    "python": "py pyi pyx", "javascript": "js mjs cjs jsx", "typescript": "ts mts cts tsx", "java": "java",
    "kotlin": "kt kts", "scala": "scala sc", "c": "c h", "c++": "cc cpp cxx hh hpp hxx", "c#": "cs",
    "go": "go",
    "rust": "rs", "swift": "swift", "ruby": "rb", "php": "php", "perl": "pl pm", "lua": "lua", "r": "r",
    "julia": "jl", "haskell": "hs", "ocaml": "ml mli", "erlang": "erl hrl", "elixir": "ex exs",
    "clojure": "clj cljs",
    "dart": "dart", "zig": "zig", "nim": "nim", "fortran": "f90 f95 f03", "assembly": "s asm",
    "cuda": "cu cuh",
    "objective-c": "m mm", "groovy": "groovy gradle", "shell": "sh bash zsh fish", "powershell": "ps1 psm1",
    "batch": "bat cmd", "sql": "sql", "css": "css scss sass less", "vue": "vue", "svelte": "svelte",
    "protobuf": "proto", "graphql": "graphql gql", "thrift": "thrift", "terraform": "tf", "nix": "nix",
    "cmake": "cmake", "make": "mk", "toml": "toml", "yaml": "yaml yml", "json": "json", "xml": "xml xsd xsl",
    "ini": "ini cfg conf properties", "lisp": "lisp el", "scheme": "scm rkt", "cython": "pxd",
}  # fmt: skip
LANGUAGES = MappingProxyType(
    {f".{s}": name for name, suffixes in _LANGUAGES.items() for s in suffixes.split()}
)
"""Suffix -> language of source code and of what stands beside it."""

_PROSE = ("readme", "license", "licence", "copying", "authors", "changelog", "changes", "notice", "todo")
_NAMES = MappingProxyType(
    {
        "posts.xml": ("posts", ""),
        "makefile": ("code", "make"),
        "dockerfile": ("code", "docker"),
        "cmakelists.txt": ("code", "cmake"),
        **dict.fromkeys(_PROSE, ("text", "")),
    }
)
_DUMP = frozenset(
    ("badges.xml", "comments.xml", "posthistory.xml", "postlinks.xml", "tags.xml", "users.xml", "votes.xml")
)
"""The other files of a Stack Exchange dump."""


def kind_of(name: str) -> tuple[str, str] | None:
    """Return the kind of a file and its language by its name; None if no reader is known.

    >>> kind_of("a/B.PDF"), kind_of("x.py"), kind_of("t.csv.gz"), kind_of("a.jpg")
    (('pdf', ''), ('code', 'python'), ('csv', ''), None)
    """
    path = PurePath(name.lower())
    if path.name in _NAMES:
        return _NAMES[path.name]
    if path.name in _DUMP:
        return None
    for suffix in ("".join(path.suffixes[-2:]), path.suffix):
        if suffix in KINDS:
            return KINDS[suffix], ""
    language = LANGUAGES.get(path.suffix)
    return ("code", language) if language else None


def reader_of(kind: str) -> FileReader:
    """Import the reader of a kind."""
    module, _, name = READERS[kind].partition(":")
    reader: FileReader = getattr(import_module(f"hybrid.corpus.files.{module}"), name)
    return reader
