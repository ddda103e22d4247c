"""The table of known models, as Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from hybrid.encoders.families.family import Family, families

HEADER = """# Models

What this package knows of published models. `hybrid.load_encoder("e5-base-v2")` and
`hybrid.Dense("e5-base-v2")` use it: the right prefixes, pooling and window without being told. Any other
model works from its own sentence-transformers configuration, and a plain transformers model with `pooling=`.

What a model's own configuration says of pooling, normalisation, window and prompts comes first; this table
fills in what it leaves out. An option given to `load_encoder` overrides both. None of the models is part of
this package, and each has its own licence.

Sources: *card*, the model card or its revisions; *config*, the configuration files of the repository, or of
copies that name it; *MTEB*, the registry of the MTEB benchmark (commit a905523); *vLLM*, the models that the
tests of vLLM compare with the reference (read in November 2026). What was found in none of them is marked.

This page is generated from `hybrid/encoders/families/models.toml`: run `hybrid models --markdown`.
"""

_COLUMNS = (
    "model", "short names", "gives", "pooling", "dimension", "tokens",
    "similarity", "languages", "licence", "source",
)  # fmt: skip


def as_markdown() -> str:
    """Return the whole page, ending with a newline."""
    return "\n".join([HEADER, *_lines()]) + "\n"


def _lines() -> Iterator[str]:
    for title, group in groupby(families(), key=lambda family: family.title):
        rows = list(group)
        yield f"## {title}\n"
        yield f"| {' | '.join(_COLUMNS)} |"
        yield "|---" * len(_COLUMNS) + "|"
        yield from (f"| {' | '.join(_cells(family))} |" for family in rows)
        yield ""
        yield from _remarks(rows)


def _cells(family: Family) -> list[str]:
    dimension = str(family.dimension) if family.dimension else "vocabulary"
    if family.matryoshka:
        dimension += f" (cut to {', '.join(map(str, family.matryoshka))})"
    source = "; ".join(family.source)
    if family.unverified:
        source += f"; **not verified: {', '.join(family.unverified)}**"
    return [
        f"[{family.name}]({family.card})",
        ", ".join(f"`{alias}`" for alias in family.aliases),
        ", ".join(family.gives),
        family.pooling or "",
        dimension,
        f"{family.max_tokens:,}",
        family.similarity,
        family.languages,
        family.licence,
        source,
    ]


def _remarks(rows: list[Family]) -> Iterator[str]:
    """Yield what is said of the rows besides: once, if all rows agree."""
    for texts, says in _grouped(rows):
        whom = "All" if len(says) == len(rows) > 1 else ", ".join(name.partition("/")[2] for name in says)
        yield f"- {whom}: {texts}"
    if any(_said(row) for row in rows):
        yield ""


def _grouped(rows: list[Family]) -> list[tuple[str, list[str]]]:
    grouped: dict[str, list[str]] = {}
    for row in rows:
        for text in _said(row):
            grouped.setdefault(text, []).append(row.name)
    return list(grouped.items())


def _said(family: Family) -> list[str]:
    said = [
        f"{side} prefix {_code(prefix)}."
        for side, prefix in (("query", family.query_prefix), ("document", family.document_prefix))
        if prefix
    ]
    if family.query_task:
        said.append(f"adapters `{family.query_task}` for queries, `{family.document_task}` for documents.")
    if family.end_token:
        said.append("every text ends with the end token.")
    if family.bidirectional:
        said.append("a decoder with attention in both directions.")
    if family.layer_norm:
        said.append("vectors are standardised before they are cut.")
    if family.remote_code:
        said.append("needs `trust_remote_code=True`: its repository's Python code is run.")
    if not family.normalize and family.gives == ("dense",):
        said.append("vectors keep their length.")
    if family.note:
        said.append(family.note)
    return said


def _code(text: str) -> str:
    shown = text.replace("\n", "\\n")
    return f"`{shown}`" if not shown.endswith(" ") else f"`{shown[:-1]}␣` (␣ is a space)"
