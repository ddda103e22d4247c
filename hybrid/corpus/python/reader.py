"""Python packages as documents: one for each module, class, function, method and property."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

from hybrid.corpus.python import extension
from hybrid.corpus.python.find import Module, installed, is_private, standard_library
from hybrid.corpus.python.names import Names
from hybrid.corpus.python.source import Entry, Source, parse
from hybrid.errors import CorpusError
from hybrid.types import Document

STDLIB = "stdlib"
BUILTINS = "builtins"

_log = logging.getLogger("hybrid.corpus")


def read_python(name: str) -> Iterator[Document]:
    """Return the documentation of ``stdlib``, or of one installed package or module, sorted by id.

    A document is made of each public module, class, function, method and property that has a
    docstring; a class includes the docstring of its ``__init__``. Public means that no part of the
    name starts with an underscore. Tests are left out. Each has one id, its qualified name:
    ``json.dumps``, ``pathlib.Path.read_text``, ``str.split``.

    The text is the signature on one line and, after a blank line, the docstring. Metadata: ``kind``
    (module, class, function, method, property), ``module``, ``package`` (the top level), ``name``
    (the last part), ``implementation`` (python, c), and for Python code ``file`` (relative to the
    library) and ``line``.

    Source files are read, never run. Only the standard library's own C modules are imported, since
    their documentation is nowhere else; other packages' C modules are left out. A file that the
    running Python cannot parse is left out, and logged.

    Raises:
        CorpusError: at once if nothing of that name is installed, or it has no source and is not
            part of Python; while iterating, if it has no documentation.

    """
    modules, compiled = standard_library() if name == STDLIB else installed(name)
    return _sorted(name, modules, compiled)


def _sorted(name: str, modules: Sequence[Module], compiled: Sequence[str]) -> Iterator[Document]:
    """Yield every document once, sorted by id."""
    documents: dict[str, Document] = {}
    for document in _documents(modules, compiled):
        documents.setdefault(document.id, document)
    if not documents:
        raise CorpusError(f"python:{name}: {name!r} has no public documentation; give another package")
    for identifier in sorted(documents):
        yield documents[identifier]


def _documents(modules: Sequence[Module], compiled: Sequence[str]) -> Iterator[Document]:
    """Yield every document, in an order where the first of an id is the one to keep."""
    sources = {source.module.name: source for source in map(_parsed, modules) if source}
    yield from _module_documents(sources, compiled)
    outside: list[tuple[str, str, object]] = []
    for definition, (home, alias) in Names(sources, extension.public_names).public().items():
        origin = sources.get(definition.module)
        if origin is None:
            value = extension.member(definition.module, definition.name)
            outside.append((home.module.public, alias, value))
            continue
        for entry in origin.entries[definition.name]:
            if entry.doc:
                name = alias + entry.name.removeprefix(definition.name)
                yield _document(home.module.public, entry, origin, name)
    for module in compiled:
        names = extension.public_names(module)
        outside += [(module, name, extension.member(module, name)) for name in names]
    yield from _compiled_documents(outside)


def _module_documents(sources: Mapping[str, Source], compiled: Sequence[str]) -> Iterator[Document]:
    """Yield the documents of the public modules themselves."""
    for source in sources.values():
        doc = source.doc or _borrowed_doc(source, sources)
        if doc and not is_private(source.module.name):
            yield _document(source.module.public, Entry("", "module", "", doc, 1), source)
    for name in compiled:
        doc = extension.module_doc(name)
        if doc:
            yield _document(name, Entry("", "module", "", doc, None, "c"), None)


def _compiled_documents(found: Sequence[tuple[str, str, object]]) -> Iterator[Document]:
    """Yield the documents of C objects, each object once: under its own name if it has one here."""

    def order(item: tuple[str, str, object]) -> tuple[bool, bool, int, str, str]:
        module, alias, value = item
        return alias != getattr(value, "__name__", ""), module != BUILTINS, module.count("."), module, alias

    seen: set[int] = set()
    for module, alias, value in sorted(found, key=order):
        if value is None or id(value) in seen:
            continue
        seen.add(id(value))
        for entry in extension.entries(value, alias):
            if entry.doc:
                yield _document(module, entry, None, entry.name)


def _parsed(module: Module) -> Source | None:
    """Return the contents of a module, or None, with a note in the log, if it is in another syntax."""
    try:
        return parse(module)
    except SyntaxError as error:
        _log.info("left out %s: %s", module.file, error)
        return None


def _borrowed_doc(source: Source, sources: Mapping[str, Source]) -> str:
    """Return the docstring that a module imports as its own: ``from _struct import __doc__``."""
    for item in source.imports:
        if item.name == "__doc__":
            origin = sources.get(item.module)
            doc = origin.doc if origin else extension.module_doc(item.module)
            if doc:
                return doc
    return ""


def _document(module: str, entry: Entry, source: Source | None, name: str = "") -> Document:
    """Return the document of one entry."""
    in_module = f"{module}.{name}" if name and module != BUILTINS else name
    title = in_module or module
    metadata: dict[str, object] = {
        "kind": entry.kind,
        "module": module,
        "package": module.partition(".")[0],
        "name": title.rpartition(".")[2],
        "implementation": entry.implementation,
    }
    if source is not None:
        metadata |= {"file": source.module.file, "line": entry.line}
    text = f"{entry.signature}\n\n{entry.doc}" if entry.signature else entry.doc
    return Document(title, text, title, metadata)
