"""Products of tokens with groups of a query's tokens, a few rows at a time, in vector registers.

A query is laid out in groups of 16 of its tokens, the last one of 8 or 16: a group that begins at token i
stands at i·d, as an array of shape (d, width). One number of a document's token is multiplied with
that number of all tokens of the group at once, so no sum is ever added across a register.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

LANES = 8
"""A query is filled up to a multiple of so many tokens."""

_WIDTH = 16
_FEATURES = binding.get_host_cpu_features()
ROWS = 8 if _FEATURES.get("avx512f") else 4
"""How many tokens are taken at a time: as many as there are registers for their sums."""

_AS_IT_IS = config.CPU_NAME is None and config.CPU_FEATURES is None
BYTES = bool(_AS_IT_IS and _FEATURES.get("avx512vnni") and _FEATURES.get("avx512vl"))
"""Whether the processor multiplies and adds bytes, and numba may use all it can (for `multiply_bytes`)."""

MOST_BYTES = 1 << 16
"""Up to how many numbers sums of products of bytes fit into int32."""

_I8, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()


def lanes_for(count: int) -> int:
    """Return to how many tokens a query of so many is filled up."""
    return -(-count // LANES) * LANES


def arranged(query: NDArray[Any], pack: int = 1) -> NDArray[Any]:
    """Return a query's vectors in groups, filled up with zeros: shape (M·d,).

    ``query``: shape (m, d). ``pack``: how many neighbouring numbers of a token stay together; d is a
    multiple of it.
    """
    count, dimension = query.shape
    lanes = lanes_for(count)
    whole = np.zeros((lanes, dimension // pack, pack), query.dtype)
    whole[:count] = query.reshape(count, -1, pack)
    groups = (whole[a : a + _WIDTH] for a in range(0, lanes, _WIDTH))
    return np.concatenate([group.transpose(1, 0, 2).reshape(-1) for group in groups])


@njit(cache=True, nogil=True, error_model="numpy")
def multiply(tokens: NDArray[Any], query: NDArray[Any], out: NDArray[Any]) -> None:
    """Write the inner products of all tokens with the query's, in float32, into ``out``.

    ``tokens``: float32, shape (n, d), C order. ``query``: float32, as `arranged`. ``out``: float32, shape
    (at least n, M), C order. Products are added in the order of their numbers, each rounded, or fused with
    its addition where the processor can.
    """
    dimension, lanes = tokens.shape[1], out.shape[1]
    for t in range(0, len(tokens), ROWS):
        for i in range(0, lanes, 16):
            if lanes - i >= 16:
                _floats_16(tokens, t, len(tokens) - t, query, i * dimension, out, t * lanes + i, lanes)
            else:
                _floats_8(tokens, t, len(tokens) - t, query, i * dimension, out, t * lanes + i, lanes)


@njit(cache=True, nogil=True, error_model="numpy")
def multiply_bytes(
    tokens: NDArray[Any], query: NDArray[Any], offsets: NDArray[Any], out: NDArray[Any]
) -> None:
    """Write the inner products of all tokens with the query's, whole numbers rounded to float32.

    ``tokens``: uint8, shape (n, d), C order, the document's numbers and 128, because the processor
    multiplies signed bytes with unsigned ones; d is a multiple of 4 and at most `MOST_BYTES`. ``query``:
    int8, as `arranged` by fours. ``offsets``: int32, shape (M,), -128 times the sum of each of the query's
    tokens. ``out``: as for `multiply`. Only where `BYTES` is true.
    """
    dimension, lanes = tokens.shape[1], out.shape[1]
    for t in range(0, len(tokens), ROWS):
        for i in range(0, lanes, 16):
            left, at, to = len(tokens) - t, i * dimension, t * lanes + i
            if lanes - i >= 16:
                _bytes_16(tokens, t, left, query, at, offsets, i, out, to, lanes)
            else:
                _bytes_8(tokens, t, left, query, at, offsets, i, out, to, lanes)


@njit(cache=True, nogil=True, error_model="numpy")
def peaks(
    products: NDArray[Any], count: int, high: NDArray[Any], second: NDArray[Any], row: NDArray[Any]
) -> None:
    """Find in each column the greatest of the first rows, the greatest of the others, and the first's row.

    ``products``: float32, shape (at least ``count``, M), no NaN. ``high``, ``second``: float32, and ``row``:
    int32, shape (M,), written; -inf where there is none. Of equals the first row counts.
    """
    for i in range(0, len(high), 16):
        if len(high) - i >= 16:
            _peaks_16(products, count, high, second, row, i)
        else:
            _peaks_8(products, count, high, second, row, i)


@intrinsic
def reaches(_context: Any, products: Any, at: Any, low: Any, first: Any) -> Any:
    """Return whether any of 8 numbers of ``products``, from ``at`` on, is at least that of ``low``."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        tile = Tile(context, builder, signature, given, LANES)
        value, least = (tile.vector(tile.address(array, given[array + 1]), _F32) for array in (0, 2))
        mask = builder.bitcast(builder.fcmp_ordered(">=", value, least), ir.IntType(LANES))
        return builder.icmp_unsigned("!=", mask, ir.Constant(mask.type, 0))

    return types.boolean(products, types.intp, low, types.intp), generate


class Tile:
    """The code of one tile: `ROWS` tokens with a group of ``width`` of the query's tokens."""

    def __init__(self, context: Any, builder: Any, signature: Any, given: Any, width: int) -> None:
        self.builder, self.width, self._given = builder, width, given
        self._arrays: list[Any] = [
            context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else None
            for kind, value in zip(signature.args, given, strict=True)
        ]

    def address(self, array: int, at: Any) -> Any:
        """Return the address of an element of an argument."""
        return self.builder.gep(self._arrays[array].data, [at])

    def height(self, array: int) -> Any:
        """Return how many rows an argument has."""
        return self.builder.extract_value(self._arrays[array].shape, 0)

    def columns(self, array: int) -> Any:
        """Return how many columns an argument has."""
        return self.builder.extract_value(self._arrays[array].shape, 1)

    def vector(self, address: Any, kind: ir.Type) -> Any:
        """Load as many numbers as the tile is wide."""
        wide = ir.VectorType(kind, self.width)
        return self.builder.load(self.builder.bitcast(address, wide.as_pointer()), align=1)

    def spread(self, value: Any) -> Any:
        """Return a vector that holds a number everywhere."""
        wide = ir.VectorType(value.type, self.width)
        empty, zeros = ir.Constant(wide, ir.Undefined), ir.Constant(ir.VectorType(_I32, self.width), None)
        return self.builder.shuffle_vector(self.builder.insert_element(empty, value, _I32(0)), empty, zeros)

    def loop(self, steps: Any, firsts: list[Any], step: Any) -> list[Any]:
        """Loop over ``steps``: ``step(j, values)`` gives the next values; return the last ones."""
        builder = self.builder
        entry, body = builder.block, builder.append_basic_block("tile")
        done = builder.append_basic_block("tile.done")
        builder.cbranch(builder.icmp_signed(">", steps, _I64(0)), body, done)
        builder.position_at_end(body)
        j = builder.phi(_I64)
        values = [builder.phi(first.type) for first in firsts]
        made = step(j, values)
        following = builder.add(j, _I64(1))
        j.add_incoming(_I64(0), entry)
        j.add_incoming(following, body)
        builder.cbranch(builder.icmp_signed("<", following, steps), body, done)
        builder.position_at_end(done)
        found = [builder.phi(first.type) for first in firsts]
        for first, value, new, last in zip(firsts, values, made, found, strict=True):
            for phi in (value, last):
                phi.add_incoming(first, entry)
                phi.add_incoming(new, body)
        return found

    def rows(self, left: Any, count: int = ROWS) -> list[Any]:
        """Return the numbers of the tile's rows; behind the last token, the last again."""
        last = self.builder.sub(left, _I64(1))
        numbers = [_I64(r) for r in range(count)]
        return [
            self.builder.select(self.builder.icmp_signed("<", number, left), number, last)
            for number in numbers
        ]

    def store(self, sums: list[Any], rows: list[Any], out: int, at: Any, lanes: Any) -> None:
        """Write the sums of each row."""
        for value, row in zip(sums, rows, strict=True):
            place = self.address(out, self.builder.add(at, self.builder.mul(row, lanes)))
            self.builder.store(value, self.builder.bitcast(place, value.type.as_pointer()), align=4)


def _floats(width: int) -> Any:
    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        _, first, left, _, at, _, to, lanes = given
        tile = Tile(context, builder, signature, given, width)
        kind = ir.VectorType(_F32, width)
        added = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fmuladd.v{width}f32"
        )
        dimension, rows = tile.columns(0), tile.rows(left)
        query = tile.address(3, at)

        def step(j: Any, sums: list[Any]) -> list[Any]:
            asked = tile.vector(builder.gep(query, [builder.mul(j, _I64(width))]), _F32)
            values = [tile.spread(builder.load(builder.gep(place, [j]))) for place in places]
            return [builder.call(added, [x, asked, s]) for x, s in zip(values, sums, strict=True)]

        places = [tile.address(0, builder.mul(builder.add(first, row), dimension)) for row in rows]
        sums = tile.loop(dimension, [ir.Constant(kind, None)] * ROWS, step)
        tile.store(sums, rows, 5, to, lanes)
        return context.get_dummy_value()

    @intrinsic
    def tile(
        _context: Any, tokens: Any, first: Any, left: Any, query: Any, at: Any, out: Any, to: Any, lanes: Any
    ) -> Any:
        number = types.intp
        return types.void(tokens, number, number, query, number, out, number, number), generate

    return tile


def bytes_tile(width: int, apart: int = 0) -> Any:
    """Return the code that multiplies `ROWS` tokens of bytes with a group of ``width`` of the query's.

    ``apart``: 0 where a row of the array is a token. Else so many tokens stand side by side in each row, four
    bytes of each.
    """

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        _, first, left, _, at, _, offset, _, to, lanes = given
        tile = Tile(context, builder, signature, given, width)
        kind = ir.VectorType(_I32, width)
        added = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.x86.avx512.vpdpbusd.{32 * width}"
        )
        rows = tile.rows(left)
        steps = tile.height(0) if apart else builder.sdiv(tile.columns(0), _I64(4))
        size = _I64(4) if apart else tile.columns(0)
        query = builder.bitcast(tile.address(3, at), _I32.as_pointer())

        def step(j: Any, sums: list[Any]) -> list[Any]:
            asked = tile.vector(builder.gep(query, [builder.mul(j, _I64(width))]), _I32)
            here = builder.mul(j, _I64(apart or 1))
            fours = [tile.spread(builder.load(builder.gep(place, [here]), align=1)) for place in places]
            return [builder.call(added, [s, x, asked]) for x, s in zip(fours, sums, strict=True)]

        places = [tile.address(0, builder.mul(builder.add(first, row), size)) for row in rows]
        places = [builder.bitcast(place, _I32.as_pointer()) for place in places]
        starts = [tile.vector(tile.address(5, offset), _I32)] * ROWS
        sums = tile.loop(steps, starts, step)
        whole = [builder.sitofp(value, ir.VectorType(_F32, width)) for value in sums]
        tile.store(whole, rows, 7, to, lanes)
        return context.get_dummy_value()

    @intrinsic
    def tile(
        _context: Any,
        tokens: Any,
        first: Any,
        left: Any,
        query: Any,
        at: Any,
        offsets: Any,
        offset: Any,
        out: Any,
        to: Any,
        lanes: Any,
    ) -> Any:
        number = types.intp
        given = (tokens, number, number, query, number, offsets, number, out, number, number)
        return types.void(*given), generate

    return tile


def _peaks(width: int) -> Any:
    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        _, count, _, _, _, at = given
        tile = Tile(context, builder, signature, given, width)
        lanes, column = tile.columns(0), tile.address(0, at)
        lowest = ir.Constant(ir.VectorType(_F32, width), [float("-inf")] * width)

        def step(t: Any, values: list[Any]) -> list[Any]:
            high, second, row = values
            value = tile.vector(builder.gep(column, [builder.mul(t, lanes)]), _F32)
            above = builder.fcmp_ordered(">", value, high)
            lower = builder.select(above, high, value)
            second = builder.select(builder.fcmp_ordered(">", lower, second), lower, second)
            here = tile.spread(builder.trunc(t, _I32))
            return [builder.select(above, value, high), second, builder.select(above, here, row)]

        none = ir.Constant(ir.VectorType(_I32, width), None)
        for number, value in enumerate(tile.loop(count, [lowest, lowest, none], step), start=2):
            place = builder.bitcast(tile.address(number, at), value.type.as_pointer())
            builder.store(value, place, align=4)
        return context.get_dummy_value()

    @intrinsic
    def peaks(_context: Any, products: Any, count: Any, high: Any, second: Any, row: Any, at: Any) -> Any:
        return types.void(products, types.intp, high, second, row, types.intp), generate

    return peaks


_peaks_16, _peaks_8 = _peaks(16), _peaks(8)
_floats_16, _floats_8, _bytes_16, _bytes_8 = _floats(16), _floats(8), bytes_tile(16), bytes_tile(8)
