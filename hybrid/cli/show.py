"""Print results: for people, and as JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import hybrid
from hybrid.errors import InputError

if TYPE_CHECKING:
    from rich.text import Text

_WIDTH = 100
_SNIPPET_LINES = 2
_NAMED = 5
_INDENT = "     "
_STEERING = ("Cc", "Zl", "Zp")


def line(text: str) -> None:
    """Print one line."""
    sys.stdout.write(text + "\n")


def flush() -> None:
    """Send what was printed on its way, as whoever waits for a long command wants it."""
    sys.stdout.flush()


def json_line(value: Any) -> None:
    """Print a value as JSON."""
    line(json.dumps(value, ensure_ascii=False, indent=2))


def created(index: hybrid.HybridIndex) -> None:
    """Say what was created."""
    stats = index.stats()
    line(f"{count(stats.documents, 'document')} in {index.path} ({size(stats.bytes)})")
    for name, truncated in stats.truncated.items():
        if truncated:
            line(
                f"{truncated:,} of them are longer than what the model of branch {name!r} reads; "
                "their end is searched by the other branches only (the recipe or the model "
                "does not let them be cut into passages)"
            )


def encoded(index: hybrid.HybridIndex) -> None:
    """Say what did not have to be encoded."""
    for name, counts in index.stats().encoders.items():
        if counts.cached:
            line(f"{name}: {count(counts.encoded, 'text')} encoded, {counts.cached:,} found in the cache")


def skipped(found: Sequence[hybrid.Skipped]) -> None:
    """Say what was not read, and why: files by name, or by their number where many have one reason."""
    by_reason: dict[str, list[str]] = {}
    for each in found:
        by_reason.setdefault(each.reason, []).append(each.path)
    for reason, paths in by_reason.items():
        if len(paths) <= _NAMED:
            for path in paths:
                line(f"not read: {printable(path)}: {printable(reason)}")
        else:
            line(f"not read: {len(paths):,} files, such as {printable(paths[0])}: {printable(reason)}")


def result(result: hybrid.Result, explanations: Sequence[hybrid.Explanation] | None) -> None:
    """Print hits as people like to read them."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    width = max(console.width - len(_INDENT), 1)
    words = query_words(result.query)
    for n, hit in enumerate(result):
        console.print(_head(hit), no_wrap=True, overflow="ellipsis")
        text = hit.passages[0].text if hit.passages else hit.text
        for row in snippet(text, words, width):
            body = Text(_INDENT + printable(row))
            body.highlight_regex(words, style="bold yellow")
            console.print(body, no_wrap=True, overflow="ellipsis")
        if explanations is not None:
            rows = map(printable, str(explanations[n]).split("\n"))
            console.print(Text("\n".join(_INDENT + row if row else row for row in rows)), soft_wrap=True)
        console.print()
    console.print(Text(summary(result), style="dim"), soft_wrap=True)
    for name, said in result.notes.items():
        console.print(Text(printable(f"{name}: {'; '.join(said)}"), style="dim"), soft_wrap=True)


def _head(hit: hybrid.Hit) -> Text:
    """Return the first line of a hit: rank, title, id, score, and every branch's score."""
    from rich.text import Text

    head = Text(f"{hit.rank:>3}  ")
    head.append(printable(hit.title or hit.id), style="bold cyan")
    if hit.title not in ("", hit.id):
        head.append(f"  {hit.id}", style="dim")
    head.append(f"  {hit.score:.4f}", style="green")
    scores = ", ".join(f"{name} {score:.4g}" for name, score in hit.scores.items() if name != "fused")
    return head.append(f"  ({scores})", style="dim")


def printable(text: str) -> str:
    """Return text that keeps to its line: what would steer a terminal becomes a space."""
    return "".join(" " if unicodedata.category(character) in _STEERING else character for character in text)


def query_words(query: str) -> re.Pattern[str]:
    """Return a pattern of the words that begin like the query's, function words left out."""
    stems = [term for term in hybrid.analyzer("english").terms(query) if term]
    longest_first = sorted({re.escape(stem) for stem in stems}, key=lambda stem: (-len(stem), stem))
    return re.compile(
        rf"(?<!\w)(?:{'|'.join(longest_first)})\w*" if longest_first else r"(?!)", re.IGNORECASE
    )


def summary(result: hybrid.Result) -> str:
    """Say how many hits, how fast, and whether the answer is whole."""
    parts = [f"{count(len(result), 'hit')} in {result.timings['total'] * 1e3:.0f} ms"]
    if result.degraded:
        parts.append(f"DEGRADED: {', '.join(result.degraded)}")
    elif result.exact:
        parts.append("exact")
    else:
        parts.append(f"not certified (gap {result.gap:.4g})")
    return " · ".join(parts)


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 hit`` or ``1,200 hits``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1] + 'ies' if noun.endswith('y') else noun + 's'}"


def snippet(text: str, words: re.Pattern[str], width: int) -> list[str]:
    """Return the few lines of a text that hold the most of the query's words, the first at a tie."""
    rows = [row.strip() for row in text.splitlines() if row.strip()]
    cut = [piece for row in rows for piece in textwrap.wrap(row, width)]
    if len(cut) <= _SNIPPET_LINES:
        return cut

    def found(start: int) -> int:
        window = "\n".join(cut[start : start + _SNIPPET_LINES])
        return len({word.lower() for word in words.findall(window)})

    best = max(range(len(cut) - _SNIPPET_LINES + 1), key=lambda start: (found(start), -start))
    return cut[best : best + _SNIPPET_LINES]


def result_json(result: hybrid.Result, explanations: Sequence[hybrid.Explanation] | None) -> None:
    """Print a result as one JSON object."""
    hits = []
    for n, hit in enumerate(result):
        record = dataclasses.asdict(hit)
        if explanations is not None:
            record["explanation"] = dataclasses.asdict(explanations[n])
        hits.append(record)
    json_line(
        {
            "query": result.query,
            "hits": hits,
            "exact": result.exact,
            "gap": result.gap if result.gap != float("inf") else None,
            "degraded": list(result.degraded),
            "notes": {name: list(said) for name, said in result.notes.items()},
            "generation": result.generation,
            "timings": dict(result.timings),
        }
    )


def run_line(qid: str, hit: hybrid.Hit, tag: str) -> str:
    """Return one line of a TREC run: qid Q0 docid rank score tag.

    Raises:
        InputError: an id or the tag holds white space, which the format cannot express.
    """
    for what, value in (("query id", qid), ("document id", hit.id), ("tag", tag)):
        if value.split() != [value]:
            raise InputError(f"the {what} {value!r} holds white space, which a run file cannot express")
    return f"{qid} Q0 {hit.id} {hit.rank} {hit.score:.9g} {tag}\n"


def stats(index: hybrid.HybridIndex) -> None:
    """Print the figures of an index."""
    figures = index.stats()
    rows: list[tuple[str, str]] = [
        ("documents", f"{figures.documents:,}"),
        ("deleted, not yet merged away", f"{figures.deleted:,}"),
        ("segments", f"{figures.segments} ({size(figures.bytes)})"),
        ("generation", str(figures.generation)),
    ]
    for name, branch in figures.branches.items():
        rows.append((name, ", ".join(f"{key} {value:,.6g}" for key, value in branch.items())))
    rows.append(("metadata fields", ", ".join(figures.fields) or "none"))
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        line(f"{label:<{width}}  {text}")
    line("")
    line(hybrid.format_recipe(index.pipeline).rstrip())


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
