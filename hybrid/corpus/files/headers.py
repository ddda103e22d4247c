"""Headers of messages, in bounded time: the standard library takes hours for some of a megabyte."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.quoprimime import header_decode

from hybrid.corpus.files.decoding import is_charset

LONGEST = 1 << 16
"""So many characters of a header are read; of those that say how to read the rest, `_SHORT`."""

_SHORT = 998
"""Headers of up to so many characters, RFC 5322's longest line, are parsed as it has it; of others, encoded
words are decoded."""

_WORD = re.compile(r"=\?([^?\s]{1,40})\?([qQbB])\?([^?\s]*)\?=")


class BoundedPolicy(EmailPolicy):
    """The policy for messages from strangers: what is beyond a header's bound is cut off."""

    def header_source_parse(self, sourcelines: Sequence[str]) -> tuple[str, str]:
        """Return a header's name and value."""
        name, value = super().header_source_parse([*sourcelines])
        return name, value[: _SHORT if name.lower().startswith("content-") else LONGEST]


def header(message: EmailMessage, name: str) -> str:
    """Return a header's text, on one line; what is malformed as far as it can be read."""
    raw = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
    if len(raw) > _SHORT:
        return clean(" ".join(_WORD.sub(_decoded_word, raw).split()))
    try:
        value = message[name]
    except (ValueError, LookupError, AttributeError, TypeError):
        value = raw
    return clean(" ".join(str(value or "").split()))


def _decoded_word(word: re.Match[str]) -> str:
    """Return an encoded word (RFC 2047) as text; as it stands, if it is malformed."""
    charset, encoding, text = word.groups()
    if not is_charset(charset):
        return word[0]
    try:
        if encoding in "bB":
            return base64.b64decode(text + "===").decode(charset)
        return header_decode(text).encode("latin-1").decode(charset)
    except (ValueError, LookupError):
        return word[0]


def clean(text: str) -> str:
    """Return text that UTF-8 can hold: bytes that the parser kept as surrogates are decoded, or replaced."""
    if text.isascii():
        return text
    raw = text.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace")
