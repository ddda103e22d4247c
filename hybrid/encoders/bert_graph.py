"""The ONNX graph of a BERT sentence encoder, written straight from its checkpoint.

The graph computes Devlin et al. 2019 (https://arxiv.org/abs/1810.04805), then pooling as in
Reimers and Gurevych 2019 (https://arxiv.org/abs/1908.10084), for texts of equal token length, so
it needs no attention mask. The weights stay in the safetensors file: the graph only names their
byte ranges, ONNX Runtime maps them into memory, and nothing is converted, copied or cached.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.encoders.checkpoint import BertShape, Checkpoint
from hybrid.encoders.weights import StoredTensor, stored_tensors
from hybrid.errors import EncoderError

INPUT = "ids"
OUTPUT = "vectors"

_OPSET = 20
_IR = 10
_FUSED = "com.microsoft"  # ONNX Runtime's own fused operators


class _Graph:
    """Nodes and initializers under construction; every method returns the name of a value."""

    def __init__(self, tensors: dict[str, StoredTensor], checkpoint: Checkpoint) -> None:
        self._tensors = tensors
        self._path = checkpoint.weights
        self._prefix = "" if "embeddings.word_embeddings.weight" in tensors else "bert."
        self._named: set[str] = set()
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def op(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        """Add one operation."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a small constant."""
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, *shape: int) -> str:
        """Name a tensor of the checkpoint, which must have the given shape."""
        from onnx import TensorProto

        stored = self._tensors.get(self._prefix + name)
        if stored is None or stored.shape != shape:
            found = "no float32 tensor of that name" if stored is None else f"shape {stored.shape}"
            raise EncoderError(
                f"the weights {self._path} have {found} for {name!r}; a BERT model with float32 shape "
                f"{shape} is expected: save the model as float32 safetensors"
            )
        if name not in self._named:
            self._named.add(name)
            proto = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
            proto.data_location = TensorProto.EXTERNAL
            for key, value in (
                ("location", self._path.name),
                ("offset", str(stored.offset)),
                ("length", str(stored.length)),
            ):
                proto.external_data.add(key=key, value=value)
            self.initializers.append(proto)
        return name

    def linear(self, x: str, name: str, width: int, outputs: int, output: str) -> str:
        """Apply a linear layer to rows: x Wᵀ + b."""
        weight, bias = self.weight(f"{name}.weight", outputs, width), self.weight(f"{name}.bias", outputs)
        return self.op("Gemm", [x, weight, bias], output, transB=1)


def build_graph(checkpoint: Checkpoint) -> bytes:
    """Return the serialised ONNX model of a checkpoint.

    Input ``ids``: int64, shape (texts, tokens). Output ``vectors``: float32, shape (texts, hidden).
    ONNX Runtime must be told the folder of the weights file (its option
    ``session.model_external_initializers_file_folder_path``).

    Raises:
        EncoderError: the weights are damaged, or are not those of the model in ``config.json``.
    """
    from onnx import TensorProto, helper

    graph = _Graph(stored_tensors(checkpoint.weights), checkpoint)
    bert = checkpoint.bert
    x = _embed(graph, bert)
    for layer in range(bert.layers):
        x = _layer(graph, bert, x, f"encoder.layer.{layer}.")
    _pool(graph, checkpoint, x)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "bert",
            [helper.make_tensor_value_info(INPUT, TensorProto.INT64, ["texts", "tokens"])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["texts", bert.hidden])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_FUSED, 1)],
        ir_version=_IR,
    )
    return bytes(model.SerializeToString())


def _embed(graph: _Graph, bert: BertShape) -> str:
    """Sum word, position and segment-0 embeddings; return normalised rows (texts × tokens, hidden)."""
    name, hidden = "embeddings.", bert.hidden
    words = graph.weight(name + "word_embeddings.weight", bert.vocabulary, hidden)
    positions = graph.weight(name + "position_embeddings.weight", bert.positions, hidden)
    segments = graph.weight(name + "token_type_embeddings.weight", 2, hidden)
    graph.constant("[0]", np.array([0]))
    graph.constant("[1]", np.array([1]))
    graph.constant("rows", np.array([-1, hidden]))
    graph.op("Shape", [INPUT], "length", start=1)
    graph.op("Gather", [words, INPUT], "words")
    graph.op("Slice", [positions, "[0]", "length", "[0]"], "positions")
    graph.op("Gather", [segments, graph.constant("first", np.array(0))], "segment")
    graph.op("Add", ["positions", "segment"], "places")
    graph.op("Add", ["words", "places"], "embeddings")
    scale = [graph.weight(name + "LayerNorm.weight", hidden), graph.weight(name + "LayerNorm.bias", hidden)]
    graph.op("LayerNormalization", ["embeddings", *scale], "normed", epsilon=bert.epsilon)
    graph.op("Shape", ["normed"], "shape")
    return graph.op("Reshape", ["normed", "rows"], "x")


def _layer(graph: _Graph, bert: BertShape, x: str, name: str) -> str:
    """Add one transformer layer over rows (texts × tokens, hidden)."""
    hidden, wide = bert.hidden, bert.intermediate
    parts = []
    for part in ("query", "key", "value"):
        flat = graph.linear(x, f"{name}attention.self.{part}", hidden, hidden, f"{name}{part}.flat")
        parts.append(graph.op("Reshape", [flat, "shape"], name + part))
    graph.op("MultiHeadAttention", parts, name + "attended", _FUSED, num_heads=bert.heads)
    rows = graph.op("Reshape", [name + "attended", "rows"], name + "attended.flat")
    y = graph.linear(rows, name + "attention.output.dense", hidden, hidden, name + "attention.out")
    x = _add_and_norm(graph, bert, x, y, name + "attention.output.LayerNorm")
    y = graph.linear(x, name + "intermediate.dense", hidden, wide, name + "wide")
    y = graph.op("Gelu", [y], name + "gelu", _FUSED)
    y = graph.linear(y, name + "output.dense", wide, hidden, name + "narrow")
    return _add_and_norm(graph, bert, x, y, name + "output.LayerNorm")


def _add_and_norm(graph: _Graph, bert: BertShape, x: str, y: str, name: str) -> str:
    scale = [graph.weight(f"{name}.weight", bert.hidden), graph.weight(f"{name}.bias", bert.hidden)]
    return graph.op("SkipLayerNormalization", [y, x, *scale], name + ".out", _FUSED, epsilon=bert.epsilon)


def _pool(graph: _Graph, checkpoint: Checkpoint, x: str) -> None:
    """Pool the tokens of each text.

    The mean is a product with a row of ones, not ReduceMean: ONNX Runtime's ReduceMean sums a lone
    text in another order than a text in a batch, and then its last bits differ.
    """
    from onnx import TensorProto

    graph.op("Reshape", [x, "shape"], "tokens")
    pooled = "pooled" if checkpoint.normalize else OUTPUT
    if checkpoint.pooling == "cls":
        graph.op("Gather", ["tokens", "first"], pooled, axis=1)
    else:
        graph.op("Concat", ["[1]", "length"], "one row", axis=0)
        graph.op("Expand", [graph.constant("one", np.ones(1, np.float32)), "one row"], "ones")
        graph.op("MatMul", ["ones", "tokens"], "sums of rows")
        graph.op("Squeeze", ["sums of rows", "[1]"], "sums")
        graph.op("Cast", ["length"], "count", to=TensorProto.FLOAT)
        graph.op("Div", ["sums", "count"], pooled)
    if checkpoint.normalize:
        graph.op("LpNormalization", [pooled], OUTPUT, axis=-1, p=2)
