"""Tables of plain text, for people."""

from __future__ import annotations

from collections.abc import Sequence

from hybrid.cli import show


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a head: the first column to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    for line in lines:
        first, *rest = (
            cell.ljust(w) if n == 0 else cell.rjust(w)
            for n, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        show.line("  ".join([first, *rest]).rstrip())


def figure(value: float, signed: bool = False) -> str:
    """Return a measure with four digits, and its sign where it is a difference."""
    return f"{value:+.4f}" if signed else f"{value:.4f}"


def probability(p: float) -> str:
    """Return a p value: three digits, or below which it lies."""
    return "<.001" if p < 0.001 else f"{p:.3f}"
