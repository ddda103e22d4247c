"""The files of a Lucene index as arrays: built from texts, kept in a segment, opened where they lie."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.branches.lucene.analysis import IMPACTS, encodable, java_analyzer
from hybrid.branches.lucene.jvm import calling, java
from hybrid.index import Segment, SegmentWriter

FIELD = "contents"
"""The one field of an index; Anserini calls it so."""

Files = Mapping[str, NDArray[np.uint8]]
"""The bytes of each file by its name."""

BLOCK = 1 << 30
"""Lucene reads memory in blocks of a power of 2; Java's are smaller than 2 GiB."""

_INDEX = "org.apache.lucene.index"
_STORE = "org.apache.lucene.store"
_LOCK_FILE = "write.lock"
_AT_ONCE = 256


def build(texts: Iterable[str], analysis: str) -> Files:
    """Index texts: the n-th becomes Lucene's document n, in one Lucene segment.

    It is written to a temporary folder, whose files have lost their names when this returns, so that
    nothing is left behind however the process ends.

    Raises:
        StorageError: the temporary folder could not be written.
        BranchError: Lucene refused a text.
    """
    folder = Path(tempfile.mkdtemp(prefix="hybrid-lucene-"))
    try:
        _write(folder, texts, analysis)
        paths = (path for path in sorted(folder.iterdir()) if path.name != _LOCK_FILE)
        return {path.name: np.memmap(path, np.uint8, "r") for path in paths}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, texts: Iterable[str], analysis: str) -> None:
    """Index texts in a folder, some at a time: other threads may use Java in between."""
    source = iter(texts)
    with calling():
        writer = _writer(folder, analysis)
        document, field = java("org.apache.lucene.document.Document")(), _field(analysis)
        document.add(field)
    try:
        while some := list(islice(source, _AT_ONCE)):
            with calling():
                for text in some:
                    field.setStringValue(encodable(text))
                    writer.addDocument(document)
        with calling():
            writer.forceMerge(1)
            writer.commit()
    finally:
        with calling():
            writer.rollback()  # closes it; what was committed stays


def _writer(folder: Path, analysis: str) -> Any:
    config = java(f"{_INDEX}.IndexWriterConfig")(java_analyzer(analysis))
    config.setMergePolicy(java(f"{_INDEX}.LogDocMergePolicy")())  # merges neighbours: the order stays
    config.setMergeScheduler(java(f"{_INDEX}.SerialMergeScheduler")())
    where = java("java.io.File")(str(folder)).toPath()
    return java(f"{_INDEX}.IndexWriter")(java(f"{_STORE}.FSDirectory").open(where), config)


def _field(analysis: str) -> Any:
    """Return a field that counts terms; learned weights have no lengths."""
    from jnius import cast

    kind = java("org.apache.lucene.document.FieldType")()
    kind.setIndexOptions(java(f"{_INDEX}.IndexOptions").DOCS_AND_FREQS)
    kind.setOmitNorms(analysis == IMPACTS)
    kind.freeze()
    empty = cast("java.lang.CharSequence", java("java.lang.String")(""))
    return java("org.apache.lucene.document.Field")(FIELD, empty, kind)


def write_files(files: Files, out: SegmentWriter, prefix: str) -> None:
    """Write the files into a segment."""
    for name, content in files.items():
        out.add(f"{prefix}/{name}", content)


def read_files(segment: Segment, prefix: str) -> Files:
    """Return the files of a segment, sharing its memory."""
    start = f"{prefix}/"
    return {name.removeprefix(start): segment[name] for name in segment.names() if name.startswith(start)}


def open_reader(files: Files) -> Any:
    """Return a Java ``DirectoryReader`` over the files, which must outlive it; nothing is copied.

    To be used within `calling`.
    """
    from jnius import PythonJavaClass, java_method

    class Outputs(PythonJavaClass):  # type: ignore[misc]
        """What would hold written files; nothing is written."""

        __javainterfaces__ = ("java/util/function/Supplier",)

        @java_method("()Ljava/lang/Object;")  # type: ignore[untyped-decorator]
        def get(self) -> Any:
            self.kept = java(f"{_STORE}.ByteBuffersDataOutput")()
            return self.kept

    class Inputs(PythonJavaClass):  # type: ignore[misc]
        """Called with the name of a file that was made, and what was written to it: gives its content."""

        __javainterfaces__ = ("java/util/function/BiFunction",)

        @java_method("(Ljava/lang/Object;Ljava/lang/Object;)Ljava/lang/Object;")  # type: ignore[untyped-decorator]
        def apply(self, name: str, output: Any) -> Any:
            self.kept = _input(name, files[name])  # pyjnius needs it alive until Java has it
            return self.kept

    outputs, inputs = Outputs(), Inputs()
    locks = java(f"{_STORE}.NoLockFactory").INSTANCE
    directory = java(f"{_STORE}.ByteBuffersDirectory")(locks, outputs, inputs)
    for name in files:
        directory.createOutput(name, java(f"{_STORE}.IOContext").DEFAULT).close()
    return java(f"{_INDEX}.DirectoryReader").open(directory)


def _input(name: str, content: NDArray[np.uint8]) -> Any:
    """Return a Lucene ``IndexInput`` that reads an array where it lies."""
    segments = java("java.lang.foreign.MemorySegment")
    memory = segments.ofAddress(content.ctypes.data).reinterpret(content.size)
    blocks = java("java.util.ArrayList")()
    for start in range(0, content.size, BLOCK):
        blocks.add(memory.asSlice(start, min(BLOCK, content.size - start)).asByteBuffer())
    return java(f"{_STORE}.ByteBuffersIndexInput")(java(f"{_STORE}.ByteBuffersDataInput")(blocks), name)
