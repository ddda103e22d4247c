"""Nodes of LlamaIndex as documents of an index, and back, without loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    Node,
    TextNode,
)

import hybrid
from hybrid.integrations.details import Content, beside, details, text_of

NODE = "_llama_index"
"""The metadata key that a stored node's own fields stand under; its metadata stand beside, for filters."""

ID, SOURCE, EMPTY = (f"{NODE}.{field}" for field in ("id", "source", "empty"))
"""The fields that filters find a node's id, its source document's id and its empty lists under."""

_KINDS: Mapping[str, type[BaseNode]] = {
    kind.class_name(): kind for kind in (TextNode, ImageNode, IndexNode, Node, Document, ImageDocument)
}

_RESOURCES = ("text_resource", "image_resource", "audio_resource", "video_resource")


def as_document(node: BaseNode, vectors: Mapping[str, Any]) -> hybrid.Document:
    """Return a node as a document: its text, its metadata, and under `NODE` all that it is besides.

    Raises:
        InputError: the node is of an unknown class, cannot be serialised, or has metadata under `NODE`.
    """
    kind = node.class_name()
    if type(node) is not _KINDS.get(kind):
        raise hybrid.InputError(
            f"node {node.node_id!r} is a {type(node).__name__}; accepted: {', '.join(_KINDS)}"
        )
    try:
        fields = node.model_dump(mode="json")
    except ValueError as error:
        raise hybrid.InputError(f"node {node.node_id!r} cannot be stored: {error}") from error
    fields["embedding"] = None
    fields.pop("text", None)
    if isinstance(node, TextNode):
        fields["text"] = ""
    for name in _RESOURCES:
        resource = getattr(node, name, None)
        if resource is not None and resource.data is not None:  # base64, which LlamaIndex leaves out
            fields[name]["data"] = resource.data.decode("ascii")
    if fields.get("text_resource") and fields["text_resource"]["text"] is not None:
        fields["text_resource"]["text"] = ""
    own = {
        "id": node.node_id,
        "kind": kind,
        "fields": json.dumps(fields, ensure_ascii=False),
        "source": node.ref_doc_id,
        "empty": [key for key, value in node.metadata.items() if value == []],
    }
    metadata = beside(node.metadata, own, NODE, node.node_id)
    return hybrid.Document(node.node_id, node.get_content(), metadata=metadata, vectors=vectors)


def as_node(id: str, text: str, metadata: Mapping[str, Any]) -> BaseNode:
    """Return what a document was made of; one that was no node becomes a `TextNode` with its id."""
    own = metadata.get(NODE)
    if own is None:
        return TextNode(id_=id, text=text, metadata=dict(metadata))
    fields = json.loads(own["fields"])
    if "text" in fields:
        fields["text"] = text
    elif fields.get("text_resource") and fields["text_resource"]["text"] is not None:
        fields["text_resource"]["text"] = text
    return _KINDS[own["kind"]].from_dict(fields)


def node_of(result: hybrid.Result, hit: hybrid.Hit, key: str | None, content: Content) -> BaseNode:
    """Return a hit as a node, with details of the search under ``key`` of its metadata, unless it is None."""
    node = as_node(hit.id, hit.text, hit.metadata)
    if content != "text":
        node.set_content(text_of(hit, content))
    if key is not None:
        told(node, beside(node.metadata, details(result, hit), key, hit.id), key)
    return node


def told(node: BaseNode, metadata: dict[str, Any], key: str) -> None:
    """Give a node metadata of which neither a language model nor an embedding model is told the key."""
    node.metadata = metadata
    for attribute in ("excluded_llm_metadata_keys", "excluded_embed_metadata_keys"):
        keys = getattr(node, attribute)
        setattr(node, attribute, keys if key in keys else [*keys, key])
