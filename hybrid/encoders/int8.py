"""Matrix products of 8 bits in an ONNX graph, and the folder that keeps graphs so rewritten.

Weights are cut into blocks of 32 numbers, each with a scale of its own; so are activations, row by row, while
the model runs (ONNX Runtime's ``MatMulNBits`` at accuracy level 4). A token's numbers are therefore scaled
by itself alone, and a text's vector does not depend on the texts beside it: a scale for a whole matrix of
activations, as ``DynamicQuantizeLinear`` has it, gives each text other vectors in other company, and loses
more (with it, per channel, the bundled model's cosine to float32 was .994 on average; in blocks it is .9996).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import EncoderError
from hybrid.types import Floats

BLOCK = 32
SPELLED = f"int8, blocks of {BLOCK}"
"""What fingerprints say of it."""

_VARIABLE = "HYBRID_MODELS"
_DOMAIN = "com.microsoft"
_ZERO = 128  # what stands for 0 among unsigned bytes
_INT8_ACTIVATIONS = 4
_LARGE = 1024  # bytes; larger arrays stand in a file beside the graph


def cache_folder() -> Path:
    """Return where models in another form are kept; they can be made again.

    The environment variable ``HYBRID_MODELS`` decides; without it, ``hybrid`` in ``XDG_CACHE_HOME``, or in
    ``~/.cache``.
    """
    chosen = os.environ.get(_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "hybrid"


def quantized(graph: bytes, folder: Path, weights: Sequence[str]) -> Path:
    """Return the file of a graph's 8-bit form, made now unless the cache has it.

    ``folder``: where the files lie that the graph names. ``weights``: their digests, which with the graph
    decide the name in the cache, so that other weights are never taken for these.

    Raises:
        EncoderError: the graph has nothing to rewrite, or the cache cannot be written.
    """
    name = hashlib.blake2b("\n".join([SPELLED, *weights]).encode() + graph, digest_size=16).hexdigest()
    kept = cache_folder() / "int8" / name
    if not (kept / "model.onnx").is_file():
        try:
            _make(graph, folder, kept)
        except OSError as error:
            raise EncoderError(
                f"cannot keep the int8 form of the model in {kept}: {error}; set {_VARIABLE} to a folder "
                "that can be written"
            ) from error
    return kept / "model.onnx"


def _make(graph: bytes, folder: Path, kept: Path) -> None:
    """Write the rewritten graph under another name, then rename it: readers see all of it or nothing."""
    import onnx

    model = onnx.load_model_from_string(graph)
    _read_weights(model, folder)
    rewrite(model)
    kept.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=kept.parent))
    try:
        onnx.save_model(
            model,
            str(new / "model.onnx"),
            save_as_external_data=True,
            location="model.onnx.data",
            size_threshold=_LARGE,
        )
        new.rename(kept)
    except OSError:
        if not (kept / "model.onnx").is_file():  # else another process was faster
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _read_weights(model: Any, folder: Path) -> None:
    """Read the arrays that lie in files beside a model into it.

    The onnx package refuses files with several hard links and symbolic links, which is how installers and
    the hub's cache share files.

    Raises:
        EncoderError: a file is not in the folder, or is shorter than the model says.
    """
    from onnx import TensorProto

    for tensor in model.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        about = {entry.key: entry.value for entry in tensor.external_data}
        place = Path(about["location"])
        if place.is_absolute() or ".." in place.parts:
            raise EncoderError(f"the model's weights are said to be in {place}, which is outside {folder}")
        with (folder / place).open("rb") as file:
            file.seek(int(about.get("offset", 0)))
            tensor.raw_data = file.read(int(about["length"]) if "length" in about else -1)
        if "length" in about and len(tensor.raw_data) != int(about["length"]):
            raise EncoderError(f"{folder / place} ends before the weights {tensor.name!r}; download it again")
        del tensor.external_data[:]
        tensor.data_location = TensorProto.DEFAULT


def rewrite(model: Any) -> None:
    """Turn the products with constant float32 matrices of an ``onnx.ModelProto`` into products of 8 bits.

    The model's arrays must be in memory.

    Raises:
        EncoderError: there is none.
    """
    from onnx import TensorProto, helper

    graph = model.graph
    matrices = {
        tensor.name: tensor
        for tensor in graph.initializer
        if len(tensor.dims) == 2 and tensor.data_type == TensorProto.FLOAT
    }
    made: dict[str, list[Any]] = {}
    for node in graph.node:
        turned = _product(node)
        if turned is None or node.input[1] not in matrices:
            continue
        tensor = matrices[node.input[1]]
        outputs, inputs = tensor.dims if turned else tuple(reversed(tensor.dims))
        name = f"{tensor.name}.{'rows' if turned else 'columns'}"
        if name not in made:
            made[name] = _arrays(name, tensor, turned=turned)
        bias = node.input[2:3]
        node.CopyFrom(
            helper.make_node(
                "MatMulNBits",
                [node.input[0], f"{name}.int8", f"{name}.scales", *(["", "", *bias] if bias else [])],
                list(node.output),
                name=node.name,
                domain=_DOMAIN,
                K=inputs,
                N=outputs,
                bits=8,
                block_size=BLOCK,
                accuracy_level=_INT8_ACTIVATIONS,
            )
        )
    if not made:
        raise EncoderError(
            "the ONNX model has no product with a constant float32 matrix, so there is nothing to "
            'turn into int8 (it may be quantised already); load it with dtype="float32"'
        )
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *(array for arrays in made.values() for array in arrays)])
    if all(opset.domain != _DOMAIN for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))


def _product(node: Any) -> bool | None:
    """Return whether a product's constant has a row for each output; None if it is no plain product."""
    if node.op_type == "MatMul" and node.domain in ("", "ai.onnx"):
        return False
    settings = {attribute.name: attribute for attribute in node.attribute}
    plain = (
        node.op_type == "Gemm"
        and not ("transA" in settings and settings["transA"].i)
        and all(name not in settings or settings[name].f == 1 for name in ("alpha", "beta"))
    )
    return bool("transB" in settings and settings["transB"].i) if plain else None


def _arrays(name: str, tensor: Any, *, turned: bool) -> list[Any]:
    from onnx import numpy_helper

    matrix = numpy_helper.to_array(tensor)
    numbers, scales = blocks(matrix if turned else matrix.T)
    return [
        numpy_helper.from_array(numbers, f"{name}.int8"),
        numpy_helper.from_array(scales, f"{name}.scales"),
    ]


def blocks(matrix: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """Return a matrix as bytes, shape (rows, blocks, 32), and each block's scale, shape (rows, blocks).

    A number is (byte - 128) × scale; the largest of a block is 127 steps from 0. The last block of a row is
    filled up with zeros.
    """
    rows, columns = matrix.shape
    padded = np.pad(matrix, ((0, 0), (0, -columns % BLOCK))).reshape(rows, -1, BLOCK)
    scales = (np.abs(padded).max(axis=2) / 127).astype(np.float32)
    steps = padded / np.where(scales > 0, scales, 1)[:, :, None]
    return (np.rint(steps) + _ZERO).astype(np.uint8), scales
