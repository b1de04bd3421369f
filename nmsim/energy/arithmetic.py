"""The kinds of arithmetic that hardware does, and all that is decided by the kind.

A kind that is in this table can be counted in a `Step`; its energy at 45 nm is the key of the same name of
the section `operations` of a board.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One kind of arithmetic operation.

    Attributes
    ----------
    operand_bytes : int
        Bytes of one operand; they decide on the traffic of buffers and of the SRAM.
    on_npu : bool
        Whether the SoC's systolic array can do it; all others run on its cores.
    instructions : int
        Instructions of a SIMD core for one on each lane (ours: polynomial exp, division steps).
    counts : int
        How many operations it is in a roofline: two for a multiply-accumulate.
    """

    operand_bytes: int
    on_npu: bool
    instructions: int
    counts: int


ARITHMETIC = {
    "mac_int8": Operation(operand_bytes=1, on_npu=True, instructions=1, counts=2),
    "mac_fp16": Operation(operand_bytes=2, on_npu=True, instructions=1, counts=2),
    "mac_fp32": Operation(operand_bytes=4, on_npu=False, instructions=1, counts=2),
    "add_int32": Operation(operand_bytes=4, on_npu=False, instructions=1, counts=1),
    "add_fp32": Operation(operand_bytes=4, on_npu=False, instructions=1, counts=1),
    "mul_fp32": Operation(operand_bytes=4, on_npu=False, instructions=1, counts=1),
    "div_fp32": Operation(operand_bytes=4, on_npu=False, instructions=4, counts=1),
    "exp": Operation(operand_bytes=4, on_npu=False, instructions=12, counts=1),
    "compare": Operation(operand_bytes=4, on_npu=False, instructions=1, counts=1),
}
