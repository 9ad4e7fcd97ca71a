"""The rules: what products, sums, adjoints and stacks of operators are, whoever wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from pylops import BlockDiag, HStack, LinearOperator, VStack
from pylops.linearoperator import (
    _AdjointLinearOperator,
    _ConjLinearOperator,
    _PowerLinearOperator,
    _ProductLinearOperator,
    _ScaledLinearOperator,
    _SumLinearOperator,
    _TransposedLinearOperator,
    aslinearoperator,
)
from scipy.sparse.linalg import LinearOperator as SciPyOperator

from seisops.algebra.fusion import check_neighbours
from seisops.algebra.nodes import Adjoint, Block, Chain, Sum
from seisops.algebra.operator import SeismicOperator, describe
from seisops.algebra.tree import check_constant, conj, holds_seismic
from seisops.arrays import number, real_type


def product(*operators: LinearOperator, scale: complex = 1) -> SeismicOperator:
    """The flat product of `operators`, the last of which acts first."""
    for left, right in pairwise(operators):
        if left.shape[1] != right.shape[0]:
            ends = getattr(left, "factors", (left,))[-1], getattr(right, "factors", (right,))[0]
            check_neighbours(*ends, whole=(left, right))
    factors: list[LinearOperator] = []
    scale = scale if isinstance(scale, int) else number(scale)
    for op in operators:
        if isinstance(op, Chain):
            factors += op.factors
            scale = scale * op.scale
        else:
            factors.append(op)
    if len(factors) == 1 and scale == 1:
        return factors[0]
    return Chain(factors, scale)


def total(terms: Sequence[LinearOperator]) -> LinearOperator | None:
    """The sum of some operators, None of none."""
    return Sum(terms) if len(terms) > 1 else terms[0] if terms else None


def compose(op: LinearOperator | SciPyOperator) -> LinearOperator:
    """`op` with PyLops' own products, sums, adjoints and stacks read through, so that what is inside fuses.

    Parameters
    ----------
    op : LinearOperator
        Any PyLops or SciPy operator.

    Returns
    -------
    operator
        Equal to `op`; a flat product where `op` holds operators of this library.

    Examples
    --------
    >>> import numpy as np, pylops, seisops as so
    >>> model = so.Model(v=np.full((21, 21), 2.0), spacing=10)
    >>> rec = so.Geometry([[[50.0, 50.0]]], dt=2, t=100)
    >>> Pr, A = so.Projection(model, rec), so.Modeling(model, rec)
    >>> M = pylops.Identity(Pr.shape[0], dtype="float32")
    >>> len(so.compose(M @ (Pr @ A)).factors)
    3
    """
    if isinstance(op, SeismicOperator):
        return op
    op = aslinearoperator(op)
    if not holds_seismic(op):
        return op
    match op:
        case _ProductLinearOperator(args=(a, b)):
            result = product(compose(a), compose(b))
        case _ScaledLinearOperator(args=(a, alpha)):
            result = product(compose(a), scale=alpha)
        case _SumLinearOperator(args=(a, b)):
            result = Sum([compose(a), compose(b)])
        case _AdjointLinearOperator(args=(a,)):
            result = compose(a).H
        case _TransposedLinearOperator(args=(a,)):
            result = compose(a).T
        case _PowerLinearOperator(args=(a, p)) if p > 0:
            result = product(*[compose(a)] * p)
        case _ConjLinearOperator(Op=a):
            result = conj(compose(a))
        case VStack() | HStack() | BlockDiag():
            result = _unstacked(op)
        case _:
            result = op
    return result


def _unstacked(stack: VStack | HStack | BlockDiag) -> Sum:
    """A stack as the sum over its blocks, each between its parts of the input and of the output."""
    dtype, row, column, terms = real_type(stack.dtype), 0, 0, []
    for op in map(compose, stack.ops):
        left, right = _block(stack.dimsd, op.dimsd, row, dtype), _block(stack.dims, op.dims, column, dtype)
        terms.append(product(*([] if left is None else [left.H]), op, *([] if right is None else [right])))
        row += 0 if isinstance(stack, HStack) else op.shape[0]
        column += 0 if isinstance(stack, VStack) else op.shape[1]
    return Sum(terms)


def _block(dims: Sequence[int], dimsd: Sequence[int], start: int, dtype: np.dtype) -> Block | None:
    return None if tuple(dims) == tuple(dimsd) else Block(dims, dimsd, start, dtype)


def blocks(op: LinearOperator) -> list[tuple[slice, LinearOperator]]:
    """The operators whose outputs `op` stacks, in order, each with its part of the flat output; `op` itself else."""
    last = op
    while isinstance(last, Chain) and not _places(last.factors[0]):
        last = last.factors[0]
    terms = [t.factors for t in getattr(last, "terms", [last]) if isinstance(t, Chain)]
    found = {f[0].op.start: (f[0].op.slice, product(*f[1:])) for f in terms if _places(f[0]) and len(f) > 1}
    result = [found[start] for start in sorted(found)]
    whole = sum(part.stop - part.start for part, _ in result) == op.shape[0]
    return result if whole else [(slice(None), op)]


def _places(op: LinearOperator) -> bool:
    return isinstance(op, Adjoint) and isinstance(op.op, Block)


def dependent(op: LinearOperator) -> SeismicOperator:
    """`op` composed; refused where it cannot depend on a model, or where that is not read.

    Raises
    ------
    ValueError, NotImplementedError
    """
    op = compose(op)
    if not isinstance(op, SeismicOperator):
        check_constant(op)
        raise ValueError(f"{describe(op)} holds no operator of this library: it does not depend on m.")
    return op
