"""Messages: single ones (.eml, Maildir) and mailboxes (.mbox), read with the standard library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, cast

from hybrid.corpus.files.decoding import WHOLE, decode, is_charset, read_whole
from hybrid.corpus.files.found import FoundFile, Part
from hybrid.corpus.files.headers import BoundedPolicy, clean, header
from hybrid.corpus.files.markup import html_text
from hybrid.corpus.files.report import Note, UnreadableError

_FROM = b"From "
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_LINE = 1 << 20
_POLICY = BoundedPolicy()


def read_message(file: FoundFile, note: Note) -> Iterator[Part]:
    """Yield one message: title its subject, text its text part, else its HTML; attachments are named.

    Metadata: ``from``, ``to``, ``date`` (ISO 8601), ``message_id``, ``attachments``.

    Raises:
        UnreadableError: it is too large, or no message.
    """
    yield _part(read_whole(file.path), None)


def read_mbox(file: FoundFile, note: Note) -> Iterator[Part]:
    """Yield the messages of a mailbox, numbered from 1, each as `read_message` does.

    A message begins with a line ``From …`` after an empty one. One that is larger than 64 MiB is noted.

    Raises:
        UnreadableError: the file does not begin as a mailbox.
    """
    with file.path.open("rb") as stream:
        for number, content in enumerate(_messages(stream), 1):
            if content is None:
                note(str(number), f"the message is larger than {WHOLE:,} bytes")
                continue
            try:
                yield _part(content, str(number))
            except UnreadableError as error:
                note(str(number), str(error))


def _messages(stream: BinaryIO) -> Iterator[bytes | None]:
    """Yield the bytes of each message; None for one that is too large."""
    first = stream.readline(_LINE)
    if first and not first.startswith(_FROM):
        raise UnreadableError("it is no mailbox: its first line does not begin with 'From '")
    lines: list[bytes] = []
    size, empty, any_line = 0, False, bool(first)
    while line := stream.readline(_LINE):
        if empty and line.startswith(_FROM):
            yield _joined(lines, size)
            lines, size, empty = [], 0, False
            continue
        size += len(line)
        if size <= WHOLE:
            lines.append(line)
        empty = line in (b"\n", b"\r\n")
    if any_line:
        yield _joined(lines, size)


def _joined(lines: list[bytes], size: int) -> bytes | None:
    return None if size > WHOLE else _QUOTED.sub(rb"\1", b"".join(lines))


def _part(content: bytes, key: str | None) -> Part:
    try:
        message = cast("EmailMessage", message_from_bytes(content, policy=_POLICY))
        text, attachments = _content(message)
        metadata: dict[str, Any] = {
            "from": header(message, "From"),
            "to": header(message, "To"),
            "date": _date(message),
            "message_id": header(message, "Message-ID"),
        }
        subject = header(message, "Subject")
    except (
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        RecursionError,
    ) as error:  # of the parser's faults
        raise UnreadableError(f"the message cannot be parsed ({type(error).__name__}: {error})") from error
    if not subject and not any(metadata.values()) and not text.strip():
        raise UnreadableError("it is no message: it has neither headers nor text")
    known = {name: value for name, value in metadata.items() if value}
    return Part(text, subject, key, known | ({"attachments": attachments} if attachments else {}))


def _date(message: EmailMessage) -> str:
    try:
        return parsedate_to_datetime(header(message, "Date")).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""


def _content(message: EmailMessage) -> tuple[str, list[str]]:
    """Return a message's text, and the names of its attachments."""
    plain, html, attachments = [], [], []
    for part in message.walk():
        if part.is_multipart():
            continue
        name = part.get_filename()
        kind = part.get_content_type()
        if name or part.get_content_disposition() == "attachment":
            attachments.append(clean(name or kind))
        elif kind == "text/plain":
            plain.append(_decoded(part))
        elif kind == "text/html":
            html.append(html_text(_decoded(part))[1])
    texts = [text for text in plain if text.strip()] or html
    return "\n\n".join(text.strip() for text in texts), attachments


def _decoded(part: Any) -> str:
    content = part.get_payload(decode=True) or b""
    charset = part.get_content_charset()
    if charset is not None and is_charset(charset):
        try:
            return clean(content.decode(charset))
        except (LookupError, UnicodeDecodeError):
            charset = None
    try:
        return clean(decode(content))
    except UnreadableError:
        return clean(content.decode("ascii", "replace"))
