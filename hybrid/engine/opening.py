"""Creating and opening indexes, and guarding them against another analysis or encoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from hybrid.encoders.caching import CacheSetting, choose_cache
from hybrid.engine.building import LIMITS, MEMORY
from hybrid.engine.encoders import EncoderSet
from hybrid.engine.index import HybridIndex
from hybrid.engine.limits import Limits
from hybrid.errors import CorruptIndexError, FingerprintError, InputError, PipelineError
from hybrid.index import MergePolicy, Store
from hybrid.pipeline import Pipeline, from_stored, to_dict
from hybrid.types import Document, Encoder, Progress, Reranker
from hybrid.version import __version__

MERGING = MergePolicy()
"""When segments are merged, if nothing else is said."""


def create(
    path: str | Path,
    documents: Iterable[Document | Mapping[str, Any]] = (),
    pipeline: Pipeline | None = None,
    *,
    encoders: Mapping[str, Encoder] | None = None,
    rerankers: Mapping[str, Reranker] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    memory: int = MEMORY,
    cache: CacheSetting = None,
    merging: MergePolicy | None = MERGING,
    limits: Limits = LIMITS,
) -> HybridIndex:
    """Create an index in the folder ``path``, and return it open for writing.

    ``pipeline`` is the embedded default (BM25 and MiniLM, fused) if it is not given. ``encoders``
    and ``rerankers`` hand in the models that the pipeline names, where the registry does not know
    them. ``memory``: how many bytes of documents and rows may be held meanwhile. If anything
    fails, nothing is left behind, and an index that was to be overwritten stays.

    ``cache``: where embeddings of documents are kept, so that no text is encoded twice, not even after a
    crash: a file's path, a ``redis://`` URL, a `SQLiteCache`, a `RedisCache`, or "off". Without it
    ``HYBRID_CACHE`` says (`hybrid.encoders.caching.choose_cache`), else it is a file in the user's cache
    folder, of at most 4 GiB. ``merging``: when segments are merged after changes; None: only by `optimize`.
    ``limits``: what is refused because it is too large.

    Raises:
        IndexExistsError: there is an index and ``overwrite`` is not set.
        InputError: a document or the pipeline is wrong.
        EncoderError: a model cannot be loaded.
    """
    pipeline = _checked_pipeline(pipeline if pipeline is not None else Pipeline())
    encoder_set = EncoderSet(encoders, cache=choose_cache(cache), cleaning=pipeline.cleaning)
    settings = {
        "pipeline": to_dict(pipeline),
        "branches": pipeline.stored(),
        "encoders": encoder_set.describe(pipeline.stores),
        "created_by": __version__,
    }
    with Store.creating(path, settings, overwrite=overwrite) as store:
        index = HybridIndex(store, pipeline, encoder_set, rerankers or {}, merging, limits)
        index.add(documents, progress, memory=memory)
    return index


def open(
    path: str | Path,
    mode: Literal["r", "w"] = "r",
    pipeline: Pipeline | None = None,
    *,
    encoders: Mapping[str, Encoder] | None = None,
    rerankers: Mapping[str, Reranker] | None = None,
    check_encoders: bool = True,
    verify: bool = False,
    cache: CacheSetting = None,
    merging: MergePolicy | None = MERGING,
    limits: Limits = LIMITS,
) -> HybridIndex:
    """Open the index in the folder ``path``: ``mode`` "r" to search, "w" to change it as well.

    ``pipeline`` replaces the stored one for this session: it may differ in everything that the
    stored data does not depend on (k1 and b, fusion, rerankers, depth), and leave branches out
    when reading. Encoders are loaded and checked against the index now, or, with
    ``check_encoders=False``, when they are first needed. ``cache``, ``merging``, ``limits``: as
    for `create`.

    ``verify`` reads every byte first, and refuses an index with any damage. Without it, arrays of up to
    4 MiB are checked when they are first used, and every document when it is read; damage in the middle of
    a longer array is found by `hybrid.verify`, and by a change that merges it.

    Raises:
        NotAnIndexError: the folder holds no index.
        FormatError: it was written by a release with another format.
        CorruptIndexError: a file is missing or damaged (`hybrid.verify` names all that is).
        IndexLockedError: another writer has it open (mode "w").
        FingerprintError: an encoder or the text analysis is not what the index was built with.
        PipelineError: the pipeline does not fit the stored data.
    """
    if mode not in ("r", "w"):
        raise InputError(f"mode is {mode!r}; it is 'r' to search or 'w' to change the index as well")
    chosen_cache = choose_cache(cache)
    store = Store.open(path, mode=mode, verify=verify)
    try:
        settings = _checked_settings(store.settings)
        stored = from_stored(settings["pipeline"])
        chosen = _checked_pipeline(pipeline if pipeline is not None else stored)
        _check_branches(chosen, settings["branches"], writing=mode == "w")
        encoder_set = EncoderSet(encoders, settings["encoders"], chosen_cache, chosen.cleaning)
        if check_encoders:
            for branch in chosen.stores:
                if branch.model is not None:
                    encoder_set.get(branch.model)
    except BaseException:
        store.close()
        raise
    return HybridIndex(store, chosen, encoder_set, rerankers or {}, merging, limits)


def _checked_settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse settings that no release writes."""
    tables = {name: settings.get(name) for name in ("pipeline", "branches", "encoders")}
    branches = tables["branches"]
    if isinstance(branches, Mapping):
        tables |= {f"branches.{name}": branch for name, branch in branches.items()}
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise CorruptIndexError(
                f"the catalogue's setting {name!r} is {table!r}, where a table is needed; restore the index "
                "from a copy"
            )
    return settings


def _checked_pipeline(pipeline: Pipeline) -> Pipeline:
    if not isinstance(pipeline, Pipeline):
        raise PipelineError(
            f"pipeline is {pipeline!r}; give a hybrid.Pipeline (hybrid.read_recipe reads one)"
        )
    return pipeline


def _check_branches(pipeline: Pipeline, stored: Mapping[str, Any], *, writing: bool) -> None:
    """Refuse a pipeline that the stored data cannot serve."""
    chosen = pipeline.stored()
    for branch in pipeline.stores:
        if branch.name not in stored:
            raise PipelineError(
                f"this index has no branch {branch.name!r}; it has {', '.join(stored)}. Build it anew with "
                "this pipeline, or leave the branch out"
            )
        then, now = stored[branch.name], chosen[branch.name]
        lines = [
            f"{branch.name}.{key}: the index has {then.get(key)!r}, the pipeline has {now.get(key)!r}"
            for key in sorted({*then, *now})
            if then.get(key) != now.get(key)
        ]
        if lines:
            raise FingerprintError(
                "this index was built differently:\n  "
                + "\n  ".join(lines)
                + "\nOpen it with the settings it was built with, or build it anew."
            )
    left_out = [name for name in stored if name not in {branch.name for branch in pipeline.stores}]
    if writing and left_out:
        raise PipelineError(
            f"the pipeline leaves out {', '.join(left_out)}, which every added document needs; "
            "open with mode='r', or keep every branch"
        )
