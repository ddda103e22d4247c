"""Who offers models behind an API: where they are, and where their keys are found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    ``name``: how names begin that mean it, ``name:model``. ``url``: its address; empty if everybody runs
    their own. ``key_variables``: environment variables that may hold the key.
    """

    name: str
    url: str
    key_variables: tuple[str, ...]


OPENAI = Provider("openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",))
COHERE = Provider("cohere", "https://api.cohere.com", ("COHERE_API_KEY", "CO_API_KEY"))
VOYAGE = Provider("voyage", "https://api.voyageai.com/v1", ("VOYAGE_API_KEY",))
JINA = Provider("jina", "https://api.jina.ai/v1", ("JINA_API_KEY",))
TEI = Provider("tei", "", ("TEI_API_KEY",))
