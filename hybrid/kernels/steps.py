"""Products of a query's tokens with residuals of 4 or 2 bits, whose levels are looked up as bytes.

The levels that a group of four numbers may have are 64 bytes: one register, in which a processor with
AVX-512 VBMI looks up 64 places at once. So sixteen tokens are decoded together, four numbers of each at a
time: group g of a block stands in ``block[g]``, the four bytes of token t from ``4·t``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from hybrid.kernels.tiles import BYTES, ROWS, Tile, bytes_tile

TOGETHER = 16
"""How many tokens are decoded together."""

STEPS = BYTES and bool(binding.get_host_cpu_features().get("avx512vbmi"))
"""Whether the processor can do this."""

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_WORDS, _BYTES = ir.VectorType(_I32, TOGETHER), ir.VectorType(ir.IntType(8), 4 * TOGETHER)


@njit(cache=True, nogil=True, error_model="numpy")
def multiply_steps(
    packed: NDArray[Any],
    table: NDArray[Any],
    query: NDArray[Any],
    offsets: NDArray[Any],
    out: NDArray[Any],
) -> int:
    """Write the inner products of all tokens' levels with the query's, whole numbers rounded to float32.

    ``packed``: uint8, shape (n, width), C order, the width a multiple of 4. ``table``: uint8, shape (d / 4,
    64), the levels in bytes and 128: sixteen places for each of four numbers. ``query``, ``offsets`` and
    ``out``: as for `hybrid.kernels.tiles.multiply_bytes`. Returns the largest sum of squares of a token's
    levels. Only where `STEPS` is true.
    """
    lanes, count, two = out.shape[1], len(packed), len(table) == packed.shape[1]
    block, squares = np.empty(table.shape, np.uint8), np.zeros(TOGETHER, np.int32)
    largest = 0
    for t in range(0, count, TOGETHER):
        if two:
            _decode_2(packed, t, count - t, table, block, squares)
        else:
            _decode_4(packed, t, count - t, table, block, squares)
        for r in range(TOGETHER):
            largest = max(largest, squares[r])
        for r in range(0, min(count - t, TOGETHER), ROWS):
            for i in range(0, lanes, 16):
                left, at, to = count - t - r, 4 * i * len(table), (t + r) * lanes + i
                if lanes - i >= 16:
                    _products_16(block, r, left, query, at, offsets, i, out, to, lanes)
                else:
                    _products_8(block, r, left, query, at, offsets, i, out, to, lanes)
    return largest


def _decode(bits: int) -> Any:
    """Return the code that looks up the levels of `TOGETHER` tokens and adds their squares."""
    groups = 8 // bits

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        _, first, left, _, _, _ = given
        tile = Tile(context, builder, signature, given, TOGETHER)
        look_up = _function(builder, "llvm.x86.avx512.permvar.qi.512", _BYTES, 2)
        add = _function(builder, "llvm.x86.avx512.vpdpbusd.512", _WORDS, 3)

        def wide(array: int, group: Any) -> Any:
            return builder.bitcast(tile.address(array, group), _BYTES.as_pointer())

        def step(q: Any, sums: list[Any]) -> list[Any]:
            words, total = ir.Constant(_WORDS, ir.Undefined), sums[0]
            for r, place in enumerate(places):
                word = builder.load(builder.gep(place, [q]), align=1)
                words = builder.insert_element(words, word, _I32(r))
            for h in range(groups):
                group = builder.mul(builder.add(builder.mul(q, _I64(groups)), _I64(h)), _I64(4 * TOGETHER))
                wanted = builder.bitcast(_wanted(builder, words, h, bits), _BYTES)
                found = builder.call(look_up, [builder.load(wide(3, group), align=1), wanted])
                builder.store(found, wide(4, group), align=1)
                size = builder.bitcast(_sizes(builder, found), _WORDS)
                total = builder.call(add, [total, size, size])
            return [total]

        rows = [builder.mul(builder.add(first, row), tile.columns(0)) for row in tile.rows(left, TOGETHER)]
        places = [builder.bitcast(tile.address(0, row), _I32.as_pointer()) for row in rows]
        steps = builder.sdiv(tile.columns(0), _I64(4))
        squares = tile.loop(steps, [ir.Constant(_WORDS, None)], step)[0]
        builder.store(squares, builder.bitcast(tile.address(5, _I64(0)), _WORDS.as_pointer()), align=4)
        return context.get_dummy_value()

    @intrinsic
    def decode(
        _context: Any, packed: Any, first: Any, left: Any, table: Any, block: Any, squares: Any
    ) -> Any:
        return types.void(packed, types.intp, types.intp, table, block, squares), generate

    return decode


def _function(builder: Any, name: str, kind: ir.Type, arguments: int) -> Any:
    """Return a function of the processor's, of arguments of one type."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * arguments), name)


def _wanted(builder: Any, words: Any, group: int, bits: int) -> Any:
    """Return in each byte the place, among the 64, of the level of one of a group's four numbers."""

    def everywhere(value: int) -> Any:
        return ir.Constant(_WORDS, [value] * TOGETHER)

    found = everywhere(0x30201000)
    for n in range(4):
        apart = bits * (4 * group + n) - 8 * n  # how far the number's bits lie above its byte
        shift = builder.lshr if apart > 0 else builder.shl
        moved = shift(words, everywhere(abs(apart)))
        found = builder.or_(found, builder.and_(moved, everywhere(((1 << bits) - 1) << 8 * n)))
    return found


def _sizes(builder: Any, levels: Any) -> Any:
    """Return the sizes of numbers that are kept as bytes and 128."""
    middle, none = (ir.Constant(_BYTES, [value] * 4 * TOGETHER) for value in (128, 0))
    signed = builder.sub(levels, middle)
    return builder.select(builder.icmp_signed("<", signed, none), builder.sub(none, signed), signed)


_decode_4, _decode_2 = _decode(4), _decode(2)
_products_16, _products_8 = bytes_tile(16, TOGETHER), bytes_tile(8, TOGETHER)
