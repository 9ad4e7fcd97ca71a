"""The conformance suite of a layer, on the user's own operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from seisops.bridge import conformance
from seisops.bridge.conformance import Cell, Framework, Transforms, random, relative_error
from seisops_torch.layer import Layer
from seisops_torch.nodes import to_numpy


def check(layer: Layer, *, seed: int = 0, verbose: bool = True) -> dict[str, float]:
    """Whether a layer does with its operator all that PyTorch may ask of it.

    Derivatives are compared with the operator's own adjoint and Jacobian; whether the Jacobian is that of
    the operator is for ``seisops.checks.taylor_test`` to say.

    Parameters
    ----------
    layer : Layer
    seed : int
        Of the random tensors.
    verbose : bool
        Print the table.

    Returns
    -------
    dict of name to relative error
        Rounding of the operator's precision where the layer is right, about 1e-14 in float64 and 1e-5 in float32.

    Examples
    --------
    >>> import pylops
    >>> errors = check(Layer(pylops.FirstDerivative(7)), verbose=False)
    >>> max(errors.values()) < 1e-13
    True
    """
    rng = np.random.default_rng(seed)
    return conformance.report(layer.op, _cells(layer, rng), verbose=verbose)


def tensor(a: NDArray) -> Tensor:
    """A tensor with memory of its own."""
    return torch.from_numpy(np.array(a))


def run(f: Callable, *arrays: NDArray) -> NDArray | tuple[NDArray, ...]:
    """`f` of arrays as tensors, and what it gives as arrays."""
    results = f(*map(tensor, arrays))
    return to_numpy(results) if isinstance(results, Tensor) else tuple(to_numpy(r) for r in results)


def gradient(f: Callable, *at: Tensor) -> tuple[Tensor, ...]:
    """The gradient of a scalar function, differentiable again."""
    leaves = [a if a.requires_grad else a.detach().requires_grad_() for a in at]
    return torch.autograd.grad(f(*leaves), leaves, create_graph=True)


def inner(w: Tensor, y: Tensor) -> Tensor:
    """The real part of the inner product."""
    return torch.real((w.conj() * y).sum())


TRANSFORMS = Transforms(
    torch.func.grad, torch.func.jvp, torch.func.vmap, lambda f: partial(checkpoint, f, use_reentrant=False)
)
FRAMEWORK = Framework(run, gradient, tensor, inner, TRANSFORMS.along)


def _cells(layer: Layer, rng: np.random.Generator) -> Iterator[Cell]:
    op = layer.op
    yield from conformance.cells(layer, FRAMEWORK, rng)
    yield from conformance.transformed(layer, FRAMEWORK, TRANSFORMS, rng)

    x, y = (torch.from_numpy(random(rng, shape, op.dtype)) for shape in (op.dims, op.dimsd))
    compiled = torch.compile(_on_its_own(lambda a: layer(a)), fullgraph=True, backend="aot_eager")

    def backward() -> float:
        (back,) = gradient(lambda a: inner(y, compiled(a)), x)
        return relative_error(to_numpy(back), op.rmatvec(y.numpy().ravel()))

    yield "torch.compile(fullgraph=True), backward", backward
    yield "output owns its memory", lambda: float(np.shares_memory(to_numpy(layer(x)), x.numpy()))


def _on_its_own(f: FunctionType) -> FunctionType:
    """A copy of `f`: PyTorch allows few recompilations of one function, and a user may check many layers."""
    return FunctionType(f.__code__.replace(), f.__globals__, closure=f.__closure__)
