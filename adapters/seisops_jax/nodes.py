"""What runs under an equation of JAX: the partials of an operator, at once or called back by a compiled function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import numpy as np
from jax.dtypes import canonicalize_dtype
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.bridge import calculus
from seisops.bridge.calculus import Keeper
from seisops.bridge.form import Inputs, Partial
from seisops.bridge.waiting import evaluate
from seisops.execution.config import Config, current, under
from seisops.storage import buffers
from seisops_jax import shim


@shim.passing
@dataclass(frozen=True, eq=False)
class Node:
    """What an equation computes.

    Attributes
    ----------
    op : LinearOperator
        Held, not numbered: a compiled function lives as long as it is called.
    partials : tuple of Partial
    taken : tuple of bool
        Which of ``Inputs.flat()`` are the arguments of the equation, in order.
    keep : bool
        Whether it is a product whose linearisation a backward will look for.
    looks : bool
        Whether it looks for one.
    keeper : Keeper, optional
        Where it is left or looked for, as long as the derivatives of this product live. Without one it waits, with
        others of the operator, and goes when it was used.
    settings : Config
        Of ``so.config`` where the product was written, for compiled functions, which run on threads that know of none.
    """

    op: LinearOperator
    partials: tuple[Partial, ...]
    taken: tuple[bool, ...]
    keep: bool = False
    looks: bool = False
    keeper: Keeper | None = None
    settings: Config = field(default_factory=current)

    @property
    def positions(self) -> list[int]:
        """Of the arguments in ``Inputs.flat()``."""
        return [i for i, taken in enumerate(self.taken) if taken]

    def inputs(self, arguments: Sequence) -> Inputs:
        """The arguments of the equation as those of the form."""
        given = iter(arguments)
        return Inputs.unflat([next(given) if taken else None for taken in self.taken])

    def outputs(self, arguments: Sequence) -> list[tuple[tuple[int, ...], np.dtype]]:
        """Shapes and JAX's dtypes of what it gives, from the shapes of its arguments."""
        outputs = calculus.outputs(self.op, self.partials, self.inputs(arguments))
        return [(shape, canonicalize_dtype(dtype)) for shape, dtype in outputs]


def eager(*arguments: jax.Array, node: Node) -> list[jax.Array]:
    """The partials at once."""
    results = _evaluate(node, arguments)
    where = shim.whole(next((a.sharding for a in arguments if getattr(a, "committed", False)), None))
    # Aligned memory JAX shares; any other it would copy again.
    return [jax.device_put(buffers.copied(r, canonicalize_dtype(r.dtype)), where) for r in results]


def staged(context, *arguments, node: Node) -> Sequence:
    """The partials as a call that a compiled function makes back."""
    outputs = context.avals_out

    def call(*arguments: NDArray) -> list[NDArray]:
        with under(node.settings):
            results = _evaluate(node, arguments)
        return [np.asarray(r, o.dtype) for r, o in zip(results, outputs, strict=True)]

    return shim.called_back(context, call, arguments)


def _evaluate(node: Node, arguments: Sequence) -> list[NDArray]:
    inputs = node.inputs([np.asarray(a) for a in arguments])
    return evaluate(node.op, node.partials, inputs, node.keeper, keep=node.keep, looks=node.looks)
