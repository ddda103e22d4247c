"""Inner products of 8-bit with 16-bit whole numbers.

A processor with AVX-512 VNNI multiplies 64 signed bytes with 64 unsigned ones at once. So a 16-bit number
q is split into q = 256·h + l, h from -128 to 127 and l from 0 to 255, and an 8-bit number c is shifted where
both would be signed: q·c = 256·(h·(c + 128) - 128·h) + l·c. Sums may pass what int32 holds on the way: they
are right modulo 2^32, and so in the end, which fits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from hybrid.kernels.tiles import BYTES, Tile

_TOGETHER = 64
"""How many numbers are multiplied at once."""

_I64 = ir.IntType(64)
_BYTES = ir.VectorType(ir.IntType(8), _TOGETHER)
_SUMS = ir.VectorType(ir.IntType(32), _TOGETHER // 4)


@njit(cache=True, nogil=True, error_model="numpy")
def multiply_pairs(
    codes: NDArray[Any], start: int, stop: int, eligible: NDArray[Any], query: NDArray[Any], out: NDArray[Any]
) -> None:
    """Write the inner products of the rows from ``start`` to ``stop`` with a query; they must fit into int32.

    ``codes``: int8, shape (n, p), C order. ``eligible``: bool, shape (n,): other rows are left out; or (0,)
    for all. ``query``: int16, shape (p,). ``out``: int32, shape (at least stop - start,).
    """
    masked = len(eligible) > 0
    for i in range(start, stop):
        if not masked or eligible[i]:
            out[i - start] = _from(codes[i], query, 0)


@njit(cache=True, nogil=True, error_model="numpy")
def multiply_bytes(
    codes: NDArray[Any], start: int, stop: int, eligible: NDArray[Any], query: NDArray[Any], out: NDArray[Any]
) -> None:
    """Do what `multiply_pairs` does, only where `hybrid.kernels.tiles.BYTES` is true."""
    steps = len(query) // _TOGETHER
    whole = steps * _TOGETHER
    low, high = np.empty(whole, np.uint8), np.empty(whole, np.int8)
    over = 0
    for j in range(whole):
        low[j], high[j] = query[j] & 255, query[j] >> 8
        over += (query[j] >> 8) << 15
    masked = len(eligible) > 0
    for i in range(start, stop):
        if not masked or eligible[i]:
            out[i - start] = np.int32(
                _bytes(codes, i, low, high, steps) - over + _from(codes[i], query, whole)
            )


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _from(code: NDArray[Any], query: NDArray[Any], start: int) -> Any:
    """Return the inner product of what stands from ``start`` on."""
    total = np.int32(0)
    for j in range(start, len(code)):
        # Narrowed at every step, the loop becomes multiply-add instructions on pairs of int16.
        total = np.int32(total + np.int32(code[j]) * np.int32(query[j]))
    return total


@intrinsic
def _bytes(_context: Any, codes: Any, i: Any, low: Any, high: Any, steps: Any) -> Any:
    """Return the sum of l·c + 256·h·(c + 128) over the first ``64 · steps`` numbers of a row, modulo 2^32."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        tile = Tile(context, builder, signature, given, _TOGETHER)
        kind = ir.FunctionType(_SUMS, [_SUMS] * 3)
        add = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
        row = builder.mul(given[1], tile.columns(0))
        shift = ir.Constant(_BYTES, [-128] * _TOGETHER)

        def wide(array: int, at: Any) -> Any:
            return tile.vector(tile.address(array, at), _BYTES.element)

        def added(sums: Any, unsigned: Any, signed: Any) -> Any:
            return builder.call(add, [sums, *(builder.bitcast(v, _SUMS) for v in (unsigned, signed))])

        def step(j: Any, sums: list[Any]) -> list[Any]:
            at = builder.mul(j, _I64(_TOGETHER))
            code, asked = wide(0, builder.add(row, at)), wide(3, at)
            return [added(sums[0], wide(2, at), code), added(sums[1], builder.xor(code, shift), asked)]

        none = ir.Constant(_SUMS, None)
        lows, highs = tile.loop(given[4], [none, none], step)
        total = builder.add(lows, builder.shl(highs, ir.Constant(_SUMS, [8] * _SUMS.count)))
        one = ir.FunctionType(_SUMS.element, [_SUMS])
        reduced = cgutils.get_or_insert_function(builder.module, one, "llvm.vector.reduce.add.v16i32")
        return builder.call(reduced, [total])

    return types.int32(codes, types.intp, low, high, types.intp), generate


multiply = multiply_bytes if BYTES else multiply_pairs
"""The faster of the two here."""
