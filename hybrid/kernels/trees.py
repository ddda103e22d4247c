"""Inner products in float64 over the tree of `hybrid.kernels.inner`, in vector registers."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

_I32, _I64, _F64 = ir.IntType(32), ir.IntType(64), ir.DoubleType()
_EIGHT = ir.VectorType(_F64, 8)


@njit(cache=True, nogil=True, error_model="numpy")
def tree_product(token: NDArray[Any], query: NDArray[Any], values: NDArray[Any]) -> float:
    """Return the inner product of a token, float32 or int8, and a float64 query, all of shape (d,), C order.

    Products of a float32's digits are exact in float64. They are added as `hybrid.kernels.inner.row_sums`
    adds: the last half of what is left to the first, until one is left. ``values``: float64, shape (d,),
    room for that.
    """
    width = len(values)
    if width % 64 == 0:  # the products, and three levels of the tree
        width //= 8
        for j in range(0, width, 8):
            _eight_sums(token, query, values, j, width)
    else:
        for j in range(width):
            values[j] = np.float64(token[j]) * query[j]
    while width > 1:
        if width == 16:
            return _last_sixteen(values)
        half = width // 2
        rest = width - half
        for j in range(half):
            values[j] += values[rest + j]
        width = rest
    return values[0]


@intrinsic
def _eight_sums(_context: Any, token: Any, query: Any, values: Any, at: Any, step: Any) -> Any:
    """Write 8 sums of 8 products each, of the numbers at ``at``, ``at`` + ``step``, and so on."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        start, step = given[3], given[4]
        token, query, values = (
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args[:3], given[:3], strict=True)
        )

        def loaded(data: Any, place: Any) -> Any:
            kind = ir.VectorType(data.type.pointee, 8)
            address = builder.bitcast(builder.gep(data, [place]), kind.as_pointer())
            return builder.load(address, align=1)

        def product(number: int) -> Any:
            place = builder.add(start, builder.mul(step, _I64(number)))
            value = loaded(token, place)
            whole = isinstance(value.type.element, ir.IntType)
            wide = builder.sitofp(value, _EIGHT) if whole else builder.fpext(value, _EIGHT)
            return builder.fmul(wide, loaded(query, place))

        def total(first: int, apart: int) -> Any:
            """Add products over a tree: those ``apart`` and multiples of it from the first."""
            if apart == 8:
                return product(first)
            return builder.fadd(total(first, 2 * apart), total(first + apart, 2 * apart))

        address = builder.bitcast(builder.gep(values, [start]), _EIGHT.as_pointer())
        builder.store(total(0, 1), address, align=8)
        return context.get_dummy_value()

    number = types.intp
    return types.void(token, query, values, number, number), generate


@intrinsic
def _last_sixteen(_context: Any, values: Any) -> Any:
    """Return the sum of the first 16 numbers, over the tree."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, given[0]).data
        first = builder.bitcast(data, _EIGHT.as_pointer())
        second = builder.bitcast(builder.gep(data, [_I64(8)]), _EIGHT.as_pointer())
        left = builder.fadd(builder.load(first, align=8), builder.load(second, align=8))
        while left.type.count > 1:
            half = left.type.count // 2
            parts = (ir.Constant(ir.VectorType(_I32, half), list(range(a, a + half))) for a in (0, half))
            low, high = (builder.shuffle_vector(left, left, part) for part in parts)
            left = builder.fadd(low, high)
        return builder.extract_element(left, _I32(0))

    return types.float64(values), generate
