"""A query as a language model rewords it, for every branch that can mix several queries into one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hybrid.branches import Branch, Encoders
from hybrid.branches.over_passages import OverPassages
from hybrid.engine.candidates import guarded
from hybrid.rewriting import Rewriter, Rewritten
from hybrid.types import Query

NAME = "rewrite"
"""What results call it in ``degraded`` and timings."""


OTHERS = "the other branches answer"
GOES_ON = {NAME: "the query is searched as it is"}
"""What is said when one fails; of branches `OTHERS`."""


class Rewriting:
    """What stands for one query, asked for once."""

    def __init__(self, rewriter: Rewriter | None, query: Query) -> None:
        self._rewriter, self._query = rewriter, query
        self._found: Rewritten | None = None

    @property
    def pending(self) -> bool:
        """Whether a language model has still to be asked."""
        return self._rewriter is not None and self._found is None

    def ask(self, within: Callable[[Callable[[], Rewritten]], Rewritten]) -> None:
        """Ask; ``within`` runs what may take long.

        Raises:
            BranchFailure: the model failed, or was late; the query then stays as it is.
        """
        rewriter, self._rewriter = self._rewriter, None
        if rewriter is not None:
            from hybrid.rewriting.asking import chat_of  # asyncio comes with it

            with guarded(NAME):
                self._found = within(lambda: rewriter.rewritten(self._query.text, chat_of(rewriter).ask))

    def encoded(self, branch: Branch, plain: Any, encoders: Encoders) -> Any:
        """Return the query as a branch searches for it, given how it encodes the query itself."""
        own = branch.branch if isinstance(branch, OverPassages) else branch
        mixed = getattr(own, "mixed", None)
        if self._found is None or mixed is None or own.name in self._query.vectors:
            return plain
        (_, share), *others = self._found.queries
        asked = [replace(self._query, text=text) for text, _ in others]
        more = own.encode_queries(asked, encoders) if asked else []
        parts = [(plain, share), *zip(more, (share for _, share in others), strict=True)]
        if self._found.documents:
            texts = [text for text, _ in self._found.documents]
            written = own.encode_written(texts, encoders)  # type: ignore[attr-defined]
            parts += zip(written, (share for _, share in self._found.documents), strict=True)
        return mixed(parts)
