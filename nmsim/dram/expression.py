"""Latencies as text: `nCL + nBL + 2 - nCWL` over clock counts, evaluated without `eval`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping

from nmsim.errors import ConfigError

_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}
_COMPARISON = {
    ast.GtE: operator.ge,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
    ast.Eq: operator.eq,
}
_FUNCTIONS = {"max": max, "min": min}

#: No latency expression of any standard comes near this; it bounds the depth of the walk.
_MAX_CHARACTERS = 200


def evaluate(expression: str | int, names: Mapping[str, int]) -> int:
    """Return the value of an integer expression; a comparison gives 0 or 1.

    Parameters
    ----------
    expression : str or int
        Integers, names, `+ - * //`, parentheses, `max(...)`, `min(...)`, and one comparison at the top.
    names : mapping of str to int
        What the names stand for.

    Raises
    ------
    ConfigError
        Where the text is anything else, or names something unknown.
    """
    text = str(expression)
    if len(text) > _MAX_CHARACTERS:
        raise ConfigError("a latency expression is too long", found=f"{len(text)} characters")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise _refusal(text, "it cannot be read") from None
    return _value(tree, names, text)


def names_in(expression: str | int) -> set[str]:
    """Return the timing names that an expression uses."""
    tree = ast.parse(str(expression), mode="eval")
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - set(_FUNCTIONS)


def _value(node: ast.expr, names: Mapping[str, int], text: str) -> int:
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name):
            if name not in names:
                raise _refusal(text, f"{name} is not given")
            return names[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            a, b = _value(left, names, text), _value(right, names, text)
            if isinstance(op, ast.FloorDiv) and b == 0:
                raise _refusal(text, "it divides by zero")
            return _ARITHMETIC[type(op)](a, b)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS and args:
            return _FUNCTIONS[name](_value(a, names, text) for a in args)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISON:
            return int(_COMPARISON[type(op)](_value(left, names, text), _value(right, names, text)))
    raise _refusal(text, "only integers, names, + - * //, max, min and a comparison are allowed")


def _refusal(text: str, why: str) -> ConfigError:
    return ConfigError(f"the latency expression {text!r} cannot be evaluated: {why}")
