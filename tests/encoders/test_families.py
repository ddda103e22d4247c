"""What is known of published models, and its table."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hybrid.encoders.families import Family, as_markdown, families, find

DOCS = Path(__file__).resolve().parents[2] / "docs" / "models.md"
NAMED = """
all-MiniLM-L6-v2 bge-small-en-v1.5 bge-base-en-v1.5 bge-large-en-v1.5 bge-m3 e5-small-v2
e5-base-v2 e5-large-v2 multilingual-e5-small multilingual-e5-base multilingual-e5-large
e5-mistral-7b-instruct gte-small gte-base gte-large gte-Qwen2-7B-instruct nomic-embed-text-v1.5
jina-embeddings-v2-base-en jina-embeddings-v3 mxbai-embed-large snowflake-arctic-embed-m LaBSE
paraphrase-multilingual-mpnet splade++ splade-v3
opensearch-neural-sparse-encoding-doc-v3-distill colbertv2.0 jina-colbert-v2
answerai-colbert-small GTE-ModernColBERT
"""


@pytest.mark.parametrize("name", NAMED.split())
def test_a_model_is_found_by_its_short_name_and_by_its_repository(name):
    family = find(name)
    assert find(family.name) is find(name.upper()) is family


def test_names_are_distinct():
    names = [name.casefold() for row in families() for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names)) > 2 * len(families()) - 1
    assert find("someone/else") is None


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_rows_are_consistent(family):
    accepted = {field.name: field.type for field in dataclasses.fields(Family)}
    assert all(isinstance(getattr(family, name), str | int | tuple | None) for name in accepted)
    assert family.name.count("/") == 1
    assert (family.pooling is not None) == ("dense" in family.gives)
    assert (family.dimension == 0) == (family.gives == ("sparse",))
    assert family.max_tokens >= 128
    assert family.licence
    assert family.source
    if family.matryoshka:
        assert family.matryoshka[0] == family.dimension
        assert list(family.matryoshka) == sorted(set(family.matryoshka), reverse=True)
    assert (family.query_task == "") == (family.document_task == "")
    assert family.similarity == {"dense": "cosine", "sparse": "dot", "tokens": "maxsim"}[family.gives[0]]


def test_prefixes_by_hand():
    assert find("e5-base-v2").document_prefix == "passage: "
    assert find("bge-base-en-v1.5").document_prefix == find("bge-m3").query_prefix == ""
    assert find("nomic-embed-text-v1.5").query_prefix == "search_query: "
    assert find("bge-m3").gives == ("dense", "sparse", "tokens")


def test_the_page_in_the_documentation_is_current():
    assert DOCS.read_text("utf-8") == as_markdown(), "run: make docs"


def test_the_page_says_what_was_not_verified():
    page = as_markdown()
    row = next(line for line in page.splitlines() if line.startswith("| [BAAI/bge-small-en-v1.5]"))
    assert "**not verified: dimension" in row
    assert "`query:␣`" in page
    assert all(f"[{family.name}]({family.card})" in page for family in families())


def test_the_command_prints_both(capsys):
    from hybrid.cli import main

    assert main(["models", "--markdown"]) == 0
    assert capsys.readouterr().out == as_markdown()
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(families())
    assert next(line.split() for line in lines if line.startswith("bge-m3"))[1:] == [
        "dense+sparse+tokens", "1024", "8,192", "MIT",
    ]  # fmt: skip
