"""What each command does."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import hybrid
from hybrid.cli import show
from hybrid.cli.arguments import parsed_where
from hybrid.cli.evaluating import evaluate_runs
from hybrid.cli.files import sync_folder
from hybrid.cli.mending import repair_index, verify_index
from hybrid.cli.moving import backup, export, import_, restore
from hybrid.cli.progress import progress_bars
from hybrid.cli.prompt import Prompt
from hybrid.cli.serving import make_key, serve_assistant_over, serve_indexes
from hybrid.cli.tables import table
from hybrid.cli.tuning import diagnose_index, tune_index
from hybrid.types import Progress

_RUN_BATCH = 64


def create(options: argparse.Namespace) -> None:
    """``hybrid create INDEX CORPUS``."""
    pipeline = _recipe(options)
    documents = hybrid.read(options.corpus)
    with progress_bars() as progress:
        index = hybrid.create(
            options.index, documents, pipeline, overwrite=options.overwrite, progress=progress
        )
    with index:
        show.created(index)
        show.encoded(index)
        show.skipped(documents.report.skipped)


def add(options: argparse.Namespace) -> None:
    """``hybrid add INDEX CORPUS``."""
    with hybrid.open(options.index, "w") as index, progress_bars() as progress:
        change = index.update if options.update else index.add
        documents = hybrid.read(options.corpus)
        count = change(documents, progress)
        done = "written" if options.update else "added"
        show.line(f"{show.count(count, 'document')} {done}; {len(index):,} in all")
        show.encoded(index)
        show.skipped(documents.report.skipped)


def delete(options: argparse.Namespace) -> None:
    """``hybrid delete INDEX ID...`` or ``hybrid delete INDEX --where JSON``."""
    missing: Literal["error", "ignore"] = "ignore" if options.missing_ok else "error"
    with hybrid.open(options.index, "w", check_encoders=False) as index:
        count = index.delete(options.ids or None, where=parsed_where(options.where), missing=missing)
        show.line(f"{show.count(count, 'document')} deleted; {len(index):,} left")


def search(options: argparse.Namespace) -> None:
    """``hybrid search INDEX [QUERY]``; without a query, a prompt."""
    with _opened(options) as index:
        if options.query is None:
            Prompt(index, options).run()
            return
        result = index.search(
            options.query, options.k, parsed_where(options.where), branches=_branches(options)
        )
        explanations = [result.explain(hit.rank) for hit in result] if options.explain else None
        if options.json:
            show.result_json(result, explanations)
        else:
            show.result(result, explanations)


def run(options: argparse.Namespace) -> None:
    """``hybrid run INDEX QUERIES -o RUN``."""
    queries = hybrid.read_queries(options.queries)
    if options.qrels is not None:
        judged = hybrid.read_qrels(options.qrels)
        queries = [(qid, text) for qid, text in queries if qid in judged]
    count = 0
    with _opened(options) as index, progress_bars() as progress:
        tag = options.tag or "+".join([index.pipeline.name, *(_branches(options) or ())])
        batches = _run_lines(index, queries, tag, options, progress)
        first = next(batches, [])  # what is wrong with the request shows before the file is touched
        with Path(options.output).open("w", encoding="utf-8") as file:
            for lines in itertools.chain([first], batches):
                file.writelines(lines)
                count += len(lines)
    queried, written = show.count(len(queries), "query"), show.count(count, "line")
    show.line(f"{queried}, {written} in {options.output}, tag {tag}")


def _run_lines(
    index: hybrid.HybridIndex,
    queries: Sequence[tuple[str, str]],
    tag: str,
    options: argparse.Namespace,
    progress: Progress | None,
) -> Iterator[list[str]]:
    """Yield the lines of a run, a batch of queries at a time: the hits of all would not fit in memory.

    A run file cannot say that a branch failed, so that is an error here.
    """
    for start in range(0, len(queries), _RUN_BATCH):
        batch = queries[start : start + _RUN_BATCH]
        texts = [text for _, text in batch]
        results = index.search_many(
            texts, options.k, parsed_where(options.where), branches=_branches(options), strict=True
        )
        yield [
            show.run_line(qid, hit, tag)
            for (qid, _), result in zip(batch, results, strict=True)
            for hit in result
        ]
        if progress is not None:
            progress("search", start + len(batch), len(queries))


def stats(options: argparse.Namespace) -> None:
    """``hybrid stats INDEX``."""
    with hybrid.open(options.index, check_encoders=False) as index:
        if options.json:
            show.json_line(dataclasses.asdict(index.stats()))
        else:
            show.stats(index)


def optimize(options: argparse.Namespace) -> None:
    """``hybrid optimize INDEX``."""
    with hybrid.open(options.index, "w", check_encoders=False) as index, progress_bars() as progress:
        before = index.stats()
        if not index.optimize(progress):
            show.line("nothing to do")
            return
        after = index.stats()
    show.line(
        f"{show.count(before.segments, 'segment')} of {show.size(before.bytes)} became {after.segments} of "
        f"{show.size(after.bytes)}; space of {show.count(before.deleted, 'deleted document')} won back"
    )


def models(options: argparse.Namespace) -> None:
    """``hybrid models``."""
    from hybrid.encoders.families import as_markdown, families

    if options.markdown:
        sys.stdout.write(as_markdown())
    else:
        head = ("model", "gives", "dimension", "tokens", "licence")
        rows = [
            (f.aliases[0], "+".join(f.gives), str(f.dimension or ""), f"{f.max_tokens:,}", f.licence)
            for f in families()
        ]
        table(head, rows)


def _opened(options: argparse.Namespace) -> hybrid.HybridIndex:
    branches = _branches(options)
    # An encoder that is not asked is not loaded: a search of BM25 alone starts at once.
    return hybrid.open(options.index, pipeline=_recipe(options), check_encoders=branches is None)


def _recipe(options: argparse.Namespace) -> hybrid.Pipeline | None:
    return None if options.recipe is None else hybrid.read_recipe(options.recipe)


def _branches(options: argparse.Namespace) -> list[str] | None:
    return None if options.branches is None else [name.strip() for name in options.branches.split(",")]


COMMANDS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "create": create,
    "add": add,
    "delete": delete,
    "sync": sync_folder,
    "search": search,
    "run": run,
    "eval": evaluate_runs,
    "diagnose": diagnose_index,
    "tune": tune_index,
    "stats": stats,
    "optimize": optimize,
    "verify": verify_index,
    "repair": repair_index,
    "backup": backup,
    "restore": restore,
    "export": export,
    "import": import_,
    "models": models,
    "serve": serve_indexes,
    "mcp": serve_assistant_over,
    "key": make_key,
}
