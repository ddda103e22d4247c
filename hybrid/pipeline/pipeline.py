"""The pipeline: what a search does, as a value."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, cast

from hybrid.branches import BM25, Branch, Dense, LuceneBM25, LuceneImpact, Multivector
from hybrid.branches.neighbours import Near
from hybrid.branches.over_passages import OverPassages
from hybrid.branches.passages import LONG, Passages
from hybrid.errors import PipelineError
from hybrid.fusion import Fusion, Weighted
from hybrid.index.multivector import TokenStorage
from hybrid.index.passages import PREFIX, prefix_of
from hybrid.rerankers import MMR, MaxSim, Parents, Stage
from hybrid.rewriting import Rewriter
from hybrid.text import Cleaning
from hybrid.values import short_repr

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")

RESERVED = ("documents", "passages", "filter", "rewrite", "fuse", "fused", "total")
"""No branch may have these names: segments, scores and timings have something else under them."""


@dataclass(frozen=True, slots=True, repr=False)
class Pipeline:
    """Branches that search in parallel, how their scores are fused, and what reranks the top.

    The default is BM25 and the bundled MiniLM, fused by weight. ``depth`` is how many documents
    each branch lists at first; the engine deepens the lists until the result is certified, but not
    past ``max_depth`` (None: as far as needed). ``name`` is the tag of runs. ``cleaning`` says what is taken
    out of texts before branches and rerankers see them; an index keeps to what it was built with.

    ``passages`` says how documents are cut; branches then compare passages and rank documents. The default
    cuts those that are longer than a model reads at once, for the branches with that model, so that nothing
    is lost, and adds what the model reads of their start; the best two passages count. None cuts nothing.
    A branch with ``passages`` of its own follows those instead: one index may so be searched by documents,
    passages and sentences, fused.

    ``rewrite`` lets a language model reword queries before branches see them (`hybrid.HyDE`,
    `hybrid.MultiQuery`); where it fails, or takes more than half of a deadline, the query is
    searched as it is, and results say so.

    A pipeline is a value: it prints, compares, and round-trips through a recipe
    (`hybrid.read_recipe`, `hybrid.write_recipe`).
    """

    branches: tuple[Branch, ...] = field(default_factory=lambda: (BM25(), Dense()))
    fusion: Fusion = field(default_factory=Weighted)
    rerank: tuple[Stage, ...] = ()
    depth: int = 100
    max_depth: int | None = None
    name: str = "hybrid"
    cleaning: Cleaning | None = None
    passages: Passages | None = LONG
    rewrite: Rewriter | None = None

    def __post_init__(self) -> None:
        _check_parts("branches", self.branches, "BM25() or Dense()")
        _check_parts("rerank", self.rerank, "Rerank('model') or MaxSim('model')")
        for attribute in ("branches", "rerank"):
            object.__setattr__(self, attribute, tuple(getattr(self, attribute)))
        if isinstance(self.fusion, type) or not hasattr(self.fusion, "weights_for"):
            raise PipelineError(f"fusion is {self.fusion!r}; give a fusion such as Weighted() or RRF()")
        self._check_branches()
        _whole("depth", self.depth)
        if self.max_depth is not None:
            _whole("max_depth", self.max_depth)
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise PipelineError(f"the pipeline's name is {self.name!r}; {_NAME_RULE}")
        if self.cleaning is not None and not isinstance(self.cleaning, Cleaning):
            raise PipelineError(f"cleaning is {self.cleaning!r}; give Cleaning(), or None for none")
        self._check_passages()
        self._check_late()
        if self.rewrite is not None and not hasattr(self.rewrite, "rewritten"):
            raise PipelineError(f"rewrite is {self.rewrite!r}; give HyDE(model), or None for none")
        stages = [stage.name for stage in self.rerank]
        if len(set(stages)) < len(stages):
            raise PipelineError(
                f"two rerank stages have the same name ({', '.join(stages)}); use a model once, or give one "
                "another name="
            )
        for stage in self.rerank:
            self._check_read(stage)
        self.fusion.weights_for([(branch.name, branch.kind) for branch in self.branches])

    def __repr__(self) -> str:
        """Show the branches, the fusion, and what else differs from the defaults."""
        return short_repr(self, branches=list(self.branches), fusion=self.fusion)

    def _check_branches(self) -> None:
        if not self.branches:
            raise PipelineError("a pipeline needs at least one branch, such as BM25() or Dense()")
        names = [branch.name for branch in self.stores]
        for name in names:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise PipelineError(f"a branch's name is {name!r}; {_NAME_RULE}")
            if name in RESERVED:
                raise PipelineError(
                    f"a branch's name is {name!r}; {', '.join(RESERVED)} are taken, use any other name"
                )
        if len(set(names)) < len(names):
            raise PipelineError(
                f"two branches have the same name ({', '.join(names)}); give one of them another name="
            )

    def _check_passages(self) -> None:
        for passages in (self.passages, *(getattr(branch, "passages", None) for branch in self.branches)):
            if passages is not None and not isinstance(passages, Passages):
                raise PipelineError(f"passages is {passages!r}; give Passages(), or None for none")
        for branch in self.branches:
            how = self.passages_of(branch)
            if how is None or how.cut != "all":
                continue
            if isinstance(branch, LuceneBM25 | LuceneImpact):
                raise PipelineError(
                    f"the branch {branch.name!r} of Lucene cannot search passages; use hybrid.split to make "
                    "documents of passages, or leave it out"
                )
            if isinstance(branch, Dense) and branch.image is not None:
                raise PipelineError(
                    f"the branch {branch.name!r} looks at images, which cannot be cut into passages"
                )

    def _check_late(self) -> None:
        """Refuse late chunking where there are no passages, or where texts are not read as they stand."""
        for branch in self.branches:
            late = isinstance(branch, Dense) and branch.late
            if late and (self.passages_of(branch) is None or self.cleaning is not None):
                raise PipelineError(
                    f"the branch {branch.name!r} has late=True, which needs passages and texts that are not "
                    "cleaned; give it passages=, leave cleaning out, or leave late out"
                )

    def _check_read(self, stage: Stage) -> None:
        """Refuse a stage that reads a branch which is not there, or cannot say what is near a document."""
        if stage.branch is None:
            return
        kinds = Dense if isinstance(stage, MMR) else Near
        fit = [branch.name for branch in self.branches if isinstance(branch, kinds)]
        for branch in self.branches:
            how = self.passages_of(branch)
            if branch.name == stage.branch and how is not None and how.cut == "all":
                raise PipelineError(
                    f"the stage {stage.name!r} reads the branch {stage.branch!r}, which holds passages, not "
                    "documents; use hybrid.split to make documents of passages, or leave the stage out"
                )
        if stage.branch not in fit:
            raise PipelineError(
                f"the stage {stage.name!r} reads the branch {stage.branch!r}; give it one of "
                f"{', '.join(fit) or 'Dense or BM25, which the pipeline lacks'}"
            )

    @property
    def stores(self) -> tuple[Branch, ...]:
        """What segments keep: the branches, and the token vectors of MaxSim stages that share no branch's.

        Each is as documents are searched by it, see `over`.
        """
        searched = self.searched
        return (*searched, *(store for store in self.tokens_read if store not in searched))

    @property
    def searched(self) -> tuple[Branch, ...]:
        """The branches as documents are searched by them."""
        return tuple(map(self.over, self.branches))

    @property
    def tokens_read(self) -> tuple[Branch, ...]:
        """Where the token vectors of MaxSim stages are, as documents are searched by them."""
        own = [self.tokens(stage) for stage in self.rerank if isinstance(stage, MaxSim)]
        return tuple(map(self.over, own))

    def over(self, branch: Branch) -> Branch:
        """Return a branch as documents are searched by it: over their passages, if they are cut."""
        how = self.passages_of(branch)
        if how is None:
            return branch
        own = getattr(branch, "passages", None) is not None
        return OverPassages(branch, how, prefix_of(branch.name) if own else PREFIX)

    def passages_of(self, branch: Branch) -> Passages | None:
        """Return which passages a branch compares, None if whole documents."""
        own = getattr(branch, "passages", None)
        how = self.passages if own is None else own
        if how is None or how.cut == "none":
            return None
        lucene = isinstance(branch, LuceneBM25 | LuceneImpact)
        whole = getattr(branch, "model", None) is None or lucene or getattr(branch, "image", None) is not None
        return None if how.cut == "long" and whole else how

    def stored(self) -> dict[str, dict[str, Any]]:
        """Return, by store, the settings that what is stored depends on, as JSON values."""
        cleaned = {} if self.cleaning is None else {"cleaning": self.cleaning.fingerprint()}
        return {branch.name: {**branch.stored(), **cleaned} for branch in self.stores}

    def tokens(self, stage: MaxSim) -> Multivector:
        """Return where a stage's token vectors are: a branch of the pipeline, or one that only stores."""
        own = Multivector(
            stage.model,
            stage.dimension,
            stage.name,
            cast("TokenStorage", stage.storage),
            stage.project,
            stage.pool,
            stage.clusters,
            device=stage.device,
        )
        for branch in self.branches:
            if isinstance(branch, Multivector) and stage.model and branch.stored() == own.stored():
                return branch
        return own

    def branch(self, name: str | None = None) -> Branch:
        """Return the branch of a name, which may be left out if there is one only.

        Raises:
            PipelineError: there is no such branch, or there are several.
        """
        if name is None and len(self.branches) > 1:
            known = ", ".join(repr(branch.name) for branch in self.branches)
            raise PipelineError(f"the pipeline has several branches; say which: {known}")
        return self.branches[0] if name is None else self.only((name,)).branches[0]

    def only(self, names: tuple[str, ...]) -> Pipeline:
        """Return the pipeline with only the named branches, in their order.

        Stages that read another branch are left out, and no neighbours are looked for in one.

        Raises:
            PipelineError: a name is none of the branches'.
        """
        known = [branch.name for branch in self.branches]
        for name in names:
            if name not in known:
                raise PipelineError(f"there is no branch {name!r}; the branches are {', '.join(known)}")
        stages = tuple(_reading(stage, names) for stage in self.rerank)
        return replace(
            self,
            branches=tuple(b for b in self.branches if b.name in names),
            rerank=tuple(stage for stage in stages if stage is not None),
        )


_NAME_RULE = "use lower-case letters, digits, - and _, beginning with a letter"


def _reading(stage: Stage, names: tuple[str, ...]) -> Stage | None:
    """Return what is left of a stage that may read only the named branches."""
    if stage.branch is None or stage.branch in names:
        return stage
    return None if isinstance(stage, MMR | Parents) else replace(stage, expand=None)


def _check_parts(what: str, parts: Any, example: str) -> None:
    """Raise unless these are a list of branches or of rerank stages."""
    if not isinstance(parts, list | tuple):
        raise PipelineError(f"{what} is {parts!r}; give a list, such as [{example}]")
    for part in parts:
        fits = isinstance(part, Stage) if what == "rerank" else hasattr(part, "encode_documents")
        if isinstance(part, type) or not fits:
            raise PipelineError(f"{what} holds {part!r}; give {example}")


def _whole(what: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise PipelineError(f"{what} is {value!r}; give a whole number of at least 1")
