"""XML from strangers: parsed as a stream, and refused if it declares entities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import BinaryIO
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from hybrid.corpus.files.archive import MOST_TAGS
from hybrid.corpus.files.report import UnreadableError

_CHUNK = 1 << 20


def parse_tree(content: bytes) -> Element:
    """Return a small document as a tree; names are without their namespaces.

    Raises:
        UnreadableError: it is not well-formed, declares entities, or is too large for a tree.
    """
    if content.count(b"<") > MOST_TAGS:
        raise UnreadableError(f"it has more than {MOST_TAGS:,} tags")
    builder = TreeBuilder()
    parser = _parser()
    parser.StartElementHandler = lambda tag, attributes: builder.start(_local(tag), attributes)
    parser.EndElementHandler = lambda tag: builder.end(_local(tag))
    parser.CharacterDataHandler = builder.data
    _checked(lambda: parser.Parse(content, True))
    return builder.close()


def stream_starts(stream: BinaryIO, start: Callable[[str, Mapping[str, str]], None]) -> Callable[[], bool]:
    """Return a function that parses the next mebibyte, and says whether there was any.

    It calls ``start`` with the name and attributes of each element.

    Raises:
        UnreadableError: from that function, if the XML is not well-formed, or declares entities.
    """
    parser = _parser()
    parser.StartElementHandler = start

    def step() -> bool:
        chunk = stream.read(_CHUNK)
        _checked(lambda: parser.Parse(chunk, not chunk))
        return bool(chunk)

    return step


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator="}")
    parser.EntityDeclHandler = _refuse
    return parser


def _refuse(name: str, *_: object) -> None:
    """Refuse entities: nested ones grow without bound, external ones read other files."""
    raise UnreadableError(f"it declares the entity {name!r}, which is not read")


def _checked(parse: Callable[[], object]) -> None:
    try:
        parse()
    except expat.ExpatError as error:
        raise UnreadableError(f"it is not well-formed XML ({error})") from error


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
