"""Formulas of unknowns, as users write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType

import numpy as np
import sympy

FUNCTIONS = ("exp", "log", "sqrt", "tanh", "sinh", "cosh")
_NUMBER, _NAME = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", r"[A-Za-z_]\w*"
_TOKENS = re.compile(
    rf"\s*(?:{_NUMBER}(?![\w.])|(?:{'|'.join(FUNCTIONS)})(?=\s*\()|{_NAME}(?!\s*[\w(.])|\*\*|[-+*/()])\s*"
)


def unknowns_of(text: str) -> list[str]:
    """The names in a formula that are no functions, in order."""
    return [n for n in dict.fromkeys(re.findall(r"(?<![\w.])[A-Za-z_]\w*", text)) if n not in FUNCTIONS]


def parsed(text: str) -> sympy.Expr:
    """A formula as SymPy has it.

    Raises
    ------
    ValueError
        For what is no arithmetic: SymPy would run it.
    """
    at = 0
    while at < len(text):
        token = _TOKENS.match(text, at)
        if not token:
            raise ValueError(
                f"{text!r} is no formula from {text[at:]!r} on: formulas have names, numbers, + - * / **, parentheses "
                f"and {', '.join(FUNCTIONS)}."
            )
        at = token.end()
    # By name, or SymPy takes Q, S and others for its own.
    return sympy.sympify(text, locals={name: sympy.Symbol(name) for name in unknowns_of(text)})


def function_of(expression: sympy.Expr, of: Sequence[sympy.Symbol], library: ModuleType = np) -> Callable:
    """An expression as a function of arrays of a library."""
    return _function(expression, tuple(of), library)


@cache
def _function(expression: sympy.Expr, of: tuple[sympy.Symbol, ...], library: ModuleType) -> Callable:
    known = {name: getattr(library, name) for name in FUNCTIONS}
    return sympy.lambdify(of, expression, modules=[known], cse=True)
