"""Two loops over all banks, or all bank groups, written as vector instructions (Numba, LLVM).

They are what a scheduled command costs most, and too short for LLVM to find the vectors by itself. Each
function is the plain Python that one reads, and that runs where Numba is switched off; compiled code takes
the vector form after it. Arrays are of int64, contiguous, and their lengths multiples of `LANES`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from nmsim.dram.commands import ACT, PREpb

#: Numbers in one vector: 256 bits, which x86-64 since 2013 has and LLVM splits where there is less.
LANES = 4

_INT = ir.IntType(64)
_VECTOR = ir.VectorType(_INT, LANES)


def padded(length: int) -> int:
    """Return the least multiple of `LANES` that is at least `length`."""
    return -(-length // LANES) * LANES


def raise_all(values: np.ndarray, clk: int, waits: np.ndarray, row: int) -> None:
    """Raise each of `values` to at least `clk` plus its number in a row of `waits`, shape (rows, values)."""
    for i in range(len(values)):
        values[i] = max(values[i], clk + waits[row, i])


def least_key(
    keys: np.ndarray,
    kinds: np.ndarray,
    orders: np.ndarray,
    windows: np.ndarray,
    waits: np.ndarray,
    row: int,
    column: int,
    issued_key: int,
) -> int:
    """Raise the banks' keys by what the last command makes them wait for, and return the least.

    Parameters
    ----------
    keys, kinds, orders : ndarray, shape (banks,)
        Of each bank's candidate: key; PREpb, ACT or a column command; what stands in the key's low bits.
    windows : ndarray, shape (banks,)
        Least keys of ACTs.
    waits : ndarray, shape (rows, N_NEXT, banks)
        See `nmsim.dram.tables.Tables.waits`.
    row, column : int
        Of the last command, and the column command (RD or WR) that is served now.
    issued_key : int
        The last command's clock as a key.
    """
    least = 1 << 62
    for bank in range(len(keys)):
        if kinds[bank] == PREpb:
            key = issued_key + waits[row, PREpb, bank]
        elif kinds[bank] == ACT:
            key = max(issued_key + waits[row, ACT, bank], windows[bank])
        else:
            key = issued_key + waits[row, column, bank]
        keys[bank] = max(keys[bank], key | orders[bank])
        least = min(least, keys[bank])
    return least


@overload(raise_all)
def _raise_all(values, clk, waits, row):
    return lambda values, clk, waits, row: _raise_all_vectors(values, clk, waits, row)


@overload(least_key)
def _least_key(keys, kinds, orders, windows, waits, row, column, issued_key):
    return lambda keys, kinds, orders, windows, waits, row, column, issued_key: _least_key_vectors(
        keys, kinds, orders, windows, waits, row, column, issued_key
    )


class _Code:
    """Writes vector instructions at the place where a function is being compiled."""

    def __init__(self, context: Any, builder: ir.IRBuilder):
        self.context, self.builder = context, builder

    def array(self, kind: Any, value: Any) -> tuple[Any, list[Any]]:
        """Return an array's address and lengths."""
        array = self.context.make_array(kind)(self.context, self.builder, value)
        return array.data, cgutils.unpack_tuple(self.builder, array.shape)

    def constant(self, number: int) -> ir.Constant:
        return ir.Constant(_INT, number)

    def load(self, address: Any, index: Any) -> Any:
        vector = self.builder.load(self._at(address, index))
        vector.align = 8
        return vector

    def store(self, vector: Any, address: Any, index: Any) -> None:
        self.builder.store(vector, self._at(address, index)).align = 8

    def _at(self, address: Any, index: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(address, [index]), _VECTOR.as_pointer())

    def spread(self, number: Any) -> Any:
        """Return a vector of equal numbers."""
        undefined, lane = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        first = self.builder.insert_element(undefined, number, lane)
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(first, undefined, lanes)

    def call(self, name: str, *vectors: Any) -> Any:
        """Call one of LLVM's functions on vectors, such as smax; a reduction returns a number."""
        result = _INT if "reduce" in name else _VECTOR
        kind = ir.FunctionType(result, [_VECTOR] * len(vectors))
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.v{LANES}i64")
        return self.builder.call(function, vectors)


@intrinsic
def _raise_all_vectors(typing_context, values, clk, waits, row):
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        code = _Code(context, builder)
        values, (length,) = code.array(signature.args[0], arguments[0])
        waits, _ = code.array(signature.args[2], arguments[2])
        clk, row = code.spread(arguments[1]), builder.mul(arguments[3], length)
        with cgutils.for_range(builder, builder.udiv(length, code.constant(LANES))) as loop:
            i = builder.mul(loop.index, code.constant(LANES))
            clks = builder.add(clk, code.load(waits, builder.add(row, i)))
            code.store(code.call("smax", code.load(values, i), clks), values, i)
        return context.get_dummy_value()

    return types.void(values, types.int64, waits, types.int64), generate


@intrinsic
def _least_key_vectors(typing_context, keys, kinds, orders, windows, waits, row, column, issued_key):
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        code = _Code(context, builder)
        (keys, (banks,)), (kinds, _), (orders, _), (windows, _), (waits, lengths) = (
            code.array(kind, value) for kind, value in zip(signature.args[:5], arguments[:5], strict=True)
        )
        row, column, issued_key = arguments[5], arguments[6], code.spread(arguments[7])
        first = builder.mul(row, builder.mul(lengths[1], lengths[2]))
        pre, act, of_column = (
            builder.add(first, builder.mul(command, banks))
            for command in (code.constant(int(PREpb)), code.constant(int(ACT)), column)
        )
        is_pre, is_act = (ir.Constant(_VECTOR, [int(command)] * LANES) for command in (PREpb, ACT))
        least = cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [1 << 62] * LANES))
        with cgutils.for_range(builder, builder.udiv(banks, code.constant(LANES))) as loop:
            i = builder.mul(loop.index, code.constant(LANES))
            kind = code.load(kinds, i)
            of_pre, of_act, of_other = (
                builder.add(issued_key, code.load(waits, builder.add(start, i)))
                for start in (pre, act, of_column)
            )
            of_act = code.call("smax", of_act, code.load(windows, i))
            other = builder.select(builder.icmp_signed("==", kind, is_act), of_act, of_other)
            key = builder.select(builder.icmp_signed("==", kind, is_pre), of_pre, other)
            key = code.call("smax", code.load(keys, i), builder.or_(key, code.load(orders, i)))
            code.store(key, keys, i)
            builder.store(code.call("smin", builder.load(least), key), least)
        return code.call("vector.reduce.smin", builder.load(least))

    arrays = (keys, kinds, orders, windows, waits)
    return types.int64(*arrays, types.int64, types.int64, types.int64), generate
