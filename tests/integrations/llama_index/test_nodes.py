"""Nodes go into an index and come back as they were, relationships and all."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.schema import (
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    Node,
    NodeRelationship,
    ObjectType,
    RelatedNodeInfo,
    TextNode,
)

import hybrid
from hybrid.integrations.llama_index import HybridVectorStore
from hybrid.integrations.llama_index.nodes import as_document, as_node

RELATED = RelatedNodeInfo(node_id="n0", node_type=ObjectType.TEXT, metadata={"z": 1, "a": [2]}, hash="h")
NODES = [
    TextNode(
        id_="n1",
        text="first\n part",
        metadata={"z": 1, "a": "x", "list": [], "deep": {"k": [1, 2.5, None]}},
        relationships={
            NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc", node_type=ObjectType.DOCUMENT),
            NodeRelationship.PREVIOUS: RELATED,
            NodeRelationship.CHILD: [RELATED, RelatedNodeInfo(node_id="n9")],
        },
        start_char_idx=3,
        end_char_idx=14,
        excluded_llm_metadata_keys=["z"],
        excluded_embed_metadata_keys=["a"],
        metadata_template="{key}={value}",
        metadata_separator=" | ",
        text_template="{metadata_str}: {content}",
        mimetype="text/markdown",
    ),
    TextNode(id_="empty"),
    ImageNode(id_="image", text="a cat", image="aGVsbG8=", image_mimetype="image/png", metadata={"n": 1}),
    IndexNode(id_="index", text="see", index_id="other", obj=TextNode(id_="inner", text="within")),
    Node(id_="node", text_resource=MediaResource(text="words", mimetype="text/plain"), metadata={"n": None}),
    Node(id_="media", image_resource=MediaResource(data=b"aGVsbG8=", mimetype="image/png")),
    Document(id_="document", text="a whole text", metadata={"year": 2024}),
    ImageDocument(id_="seen", text="seen", image="aGVsbG8="),
]


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.node_id)
def test_a_node_comes_back_as_it_was(node, tmp_path):
    with hybrid.create(tmp_path / "i", [as_document(node, {})], hybrid.Pipeline([hybrid.BM25()])) as index:
        stored = index.get(node.node_id)
        (found,) = HybridVectorStore(index).get_nodes()
    assert stored.text == node.get_content()
    assert type(found) is type(node)
    assert found == node
    assert found.to_dict() == node.to_dict()
    assert list(found.metadata) == list(node.metadata)  # prompts show them in this order
    assert found.hash == node.hash
    assert found.ref_doc_id == node.ref_doc_id


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    text=st.text(),
    metadata=st.dictionaries(st.text(max_size=6), values, max_size=4),
    start=st.none() | st.integers(0),
    related=st.dictionaries(
        st.sampled_from([NodeRelationship.SOURCE, NodeRelationship.NEXT, NodeRelationship.PARENT]),
        st.builds(
            RelatedNodeInfo, node_id=st.text(min_size=1), metadata=st.dictionaries(st.text(), st.text())
        ),
    ),
)
def test_whatever_it_holds(text, metadata, start, related):
    node = TextNode(id_="n", text=text, metadata=metadata, start_char_idx=start, relationships=related)
    document = as_document(node, {})
    found = as_node(document.id, document.text, document.metadata)
    assert found == node
    assert found.to_dict() == node.to_dict()


def test_what_cannot_be_stored_is_refused(tmp_path):
    class Mine(TextNode):
        pass

    with pytest.raises(hybrid.InputError, match="'m' is a Mine; accepted: TextNode, ImageNode"):
        as_document(Mine(id_="m"), {})
    with pytest.raises(hybrid.InputError, match=r"'i' cannot be stored: .*serialize"):
        as_document(IndexNode(id_="i", index_id="x", obj=object()), {})
    with pytest.raises(hybrid.InputError, match="'n' has metadata of its own under '_llama_index'"):
        as_document(TextNode(id_="n", metadata={"_llama_index": 1}), {})
    with (
        hybrid.create(tmp_path / "i", [], hybrid.Pipeline([hybrid.BM25()])) as index,
        pytest.raises(hybrid.DocumentError, match="metadata 'when'"),
    ):
        HybridVectorStore(index).add([TextNode(id_="n", metadata={"when": float("nan")})])
