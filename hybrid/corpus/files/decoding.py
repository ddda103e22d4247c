"""From bytes to text: what the bytes declare, else what they look like."""

from __future__ import annotations

import codecs
from pathlib import Path

from hybrid.corpus.files.report import UnreadableError

WHOLE = 64 * 2**20
"""The largest text file that is read: 64 MiB, since it is one document."""

_SAMPLE = 256 * 1024
_LOOK = 8192
_FEW = 32
"""So few bytes beyond ASCII are no statistics: they are taken for Western European."""

_NO_CHARSETS = frozenset(("punycode", "idna", "unicode-escape", "raw-unicode-escape", "undefined"))

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_whole(path: Path, limit: int = WHOLE) -> bytes:
    """Return a file's content.

    Raises:
        UnreadableError: it is larger than ``limit`` bytes.
        OSError: the system refused.
    """
    with path.open("rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise UnreadableError(f"it is larger than {limit:,} bytes")
    return content


def decode(content: bytes, declared: str | None = None) -> str:
    r"""Return bytes as text.

    The encoding is that of a byte order mark, else UTF-8 if the bytes are that, else what the file
    ``declared``, else what charset-normalizer makes of the first 256 KiB.

    Raises:
        UnreadableError: the bytes are not text, or no encoding fits them.

    >>> decode(b"caf\xe9"), decode(b"\xff\xfea\x00"), decode("é".encode(), "latin-1")
    ('café', 'a', 'é')
    """
    mark, encoding = marked(content)
    if encoding is not None:
        try:
            return content[len(mark) :].decode(encoding)
        except UnicodeDecodeError as error:
            raise UnreadableError(f"it begins as {encoding} and is not ({error.reason})") from error
    if b"\0" in content[:_LOOK]:
        raise UnreadableError("it is binary, not text")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return _guessed(content, declared)


def marked(content: bytes) -> tuple[bytes, str | None]:
    """Return the byte order mark that content begins with, and the encoding it stands for."""
    return next(((mark, name) for mark, name in _BOMS if content.startswith(mark)), (b"", None))


def encoding_of(sample: bytes) -> str:
    """Return the encoding of a text file by its beginning, which may end inside a character."""
    mark, encoding = marked(sample)
    if encoding is not None:
        return "utf-8-sig" if mark == codecs.BOM_UTF8 else encoding.rpartition("-")[0]
    if b"\0" in sample[:_LOOK]:
        raise UnreadableError("it is binary, not text")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return _detected(sample)
    return "utf-8"


def is_charset(name: str) -> bool:
    """Return whether a name is that of a charset, and not of something else that Python decodes.

    (Punycode and IDNA take a day for a megabyte; escapes make characters that no text has.)

    >>> is_charset("Latin1"), is_charset("punycode"), is_charset("rot13"), is_charset("x-unknown")
    (True, False, False, False)
    """
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):  # ValueError: a zero byte in the name
        return False
    return found._is_text_encoding and found.name not in _NO_CHARSETS


def _guessed(content: bytes, declared: str | None) -> str:
    detected = _detected(content[:_SAMPLE])
    for encoding in (declared, detected) if declared and is_charset(declared) else (detected,):
        try:
            return content.decode(encoding)
        except UnicodeError:
            continue
    return content.decode("cp1252", errors="replace")


def _detected(sample: bytes) -> str:
    if sum(byte > 127 for byte in sample) < _FEW:
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    if best is None:
        raise UnreadableError("no encoding fits its bytes; save it as UTF-8")
    return str(best.encoding)
