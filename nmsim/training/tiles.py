"""The trainer's innermost loop, written in LLVM's vectors: a tile of sums that stays in registers.

Numba's compiler vectorises an innermost loop, but keeps no array of sums in registers around it, so that
sums of many short rows go through memory again and again. A tile of 8 rows by 32 values does not: in AVX-512
it takes sixteen of the 32 registers, two hold the terms, and a multiply-add takes its weight from memory.
Elsewhere, with 16 registers of half that width or less, a tile has 4 rows of 16 values. Sums are made term by
term in the same order everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils, codegen, config
from numba.extending import intrinsic

_FEATURES = config.CPU_FEATURES or codegen.get_host_cpu_features()

#: Rows of the largest tile, and values of a row that a tile spans.
ROWS, WIDTH = (8, 32) if "+avx512f" in _FEATURES else (4, 16)

#: Rows of the tiles that there are, the largest first.
HEIGHTS = (8, 4, 2, 1)


def _tile(rows: int) -> Callable[..., None]:
    """Return a function that adds, for i < rows and l < WIDTH,

    sum_j w[k + i·di + j·dj] · src[src_at[j] + x + l]   to   out[at + i·step + l].

    Arguments: out, at, step, src, src_at, x, w, k, di, dj; arrays are flat and contiguous, all numbers and
    those in src_at are uint64. `out` overlaps neither src nor w.
    """

    def code(context, builder, signature, arguments):
        kinds = dict(zip(_ARGUMENTS, signature.args, strict=True))
        given = dict(zip(_ARGUMENTS, arguments, strict=True))
        array = {
            name: context.make_array(kinds[name])(context, builder, given[name])
            for name in ("out", "src", "src_at", "w")
        }
        element = context.get_data_type(kinds["out"].dtype)
        vector = ir.VectorType(element, WIDTH)
        item_bytes = kinds["out"].dtype.bitwidth // 8

        def pointer(name, place):
            return builder.gep(array[name].data, [place], inbounds=True)

        def vector_at(name, place):
            return builder.bitcast(pointer(name, place), vector.as_pointer())

        def repeated(value):
            blank = ir.Constant(vector, ir.Undefined)
            first = builder.insert_element(blank, value, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(
                first, blank, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
            )

        def along(start, step):
            """Return start, start + step, … for each row of the tile."""
            places = [start]
            for _ in range(rows - 1):
                places.append(builder.add(places[-1], step))
            return places

        outs = [vector_at("out", place) for place in along(given["at"], given["step"])]
        sums = [cgutils.alloca_once(builder, vector) for _ in outs]
        for place, total in zip(outs, sums, strict=True):
            builder.store(builder.load(place, align=item_bytes), total)
        weights = along(given["k"], given["di"])
        with cgutils.for_range(builder, array["src_at"].nitems) as loop:
            at = builder.add(builder.load(pointer("src_at", loop.index)), given["x"])
            term = builder.load(vector_at("src", at), align=item_bytes)
            shift = builder.mul(loop.index, given["dj"])
            for weight, total in zip(weights, sums, strict=True):
                factor = repeated(builder.load(pointer("w", builder.add(weight, shift))))
                product = builder.fmul(factor, term, flags=("contract",))
                builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
        for place, total in zip(outs, sums, strict=True):
            builder.store(builder.load(total), place, align=item_bytes)
        return context.get_dummy_value()

    @intrinsic
    def tile(typingctx, out, at, step, src, src_at, x, w, k, di, dj):
        u8 = types.uint64
        return types.void(out, u8, u8, src, src_at, u8, w, u8, u8, u8), code

    return tile


_ARGUMENTS = ("out", "at", "step", "src", "src_at", "x", "w", "k", "di", "dj")

add_tile_8, add_tile_4, add_tile_2, add_tile_1 = (_tile(rows) for rows in HEIGHTS)
