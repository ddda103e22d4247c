"""Split an identifier of a programming language into the words it is made of."""

from __future__ import annotations

import re

_PIECES = re.compile(
    r"U{2,}s(?![ls])"  # a plural acronym: URLs
    r"|U+(?=U[ls])"  # an acronym before a capitalised word: HTTP in HTTPResponse
    r"|U?[lsd]+"  # a word: Response, get, utf8, 3d
    r"|U+d*"  # an acronym at the end: JSON, HTTP2
)
"""Matched against the *kinds* of the characters: U upper, d digit, s the letter s, l any other."""


def _kind(character: str) -> str:
    if character.isupper():
        return "U"
    if character.isdigit():
        return "d"
    return "s" if character == "s" else "l"


def split_identifier(name: str) -> list[str]:
    """Return the pieces of one camelCase or PascalCase name, in order and in their own case.

    >>> split_identifier("getHTTPResponse"), split_identifier("parseURLs"), split_identifier("utf8Decode")
    (['get', 'HTTP', 'Response'], ['parse', 'URLs'], ['utf8', 'Decode'])
    """
    kinds = "".join(map(_kind, name))
    if "l" not in kinds and "s" not in kinds:
        return [name]  # a constant or a code, such as 3D or 550E8400
    return [name[match.start() : match.end()] for match in _PIECES.finditer(kinds)]
