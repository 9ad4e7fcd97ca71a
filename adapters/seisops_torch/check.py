"""The conformance suite of a layer, on the user's own operator."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from types import FunctionType

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from seisops.bridge import conformance
from seisops.bridge.conformance import Cell, Framework, random, relative_error
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


def _jvp(layer: Layer, x: Tensor, dx: Tensor | None, m: Tensor | None, dm: Tensor | None) -> Tensor:
    given = [(a, da) for a, da in ((x, dx), (m, dm)) if da is not None]

    def f(*at: Tensor) -> Tensor:
        rest = iter(at)
        return layer(x if dx is None else next(rest), m if dm is None else next(rest))

    return torch.func.jvp(f, *(tuple(t) for t in zip(*given, strict=True)))[1]


def _cells(layer: Layer, rng: np.random.Generator) -> Iterator[Cell]:
    op = layer.op
    yield from conformance.cells(layer, Framework(run, gradient, tensor, inner, _jvp), rng)

    x, y = (torch.from_numpy(random(rng, shape, op.dtype)) for shape in (op.dims, op.dimsd))
    value, back = op.matvec(x.numpy().ravel()), op.rmatvec(y.numpy().ravel())

    def adjoint_through(f: Callable) -> Callable[[], float]:
        """Whether the gradient of `f`, in place of the layer, is the adjoint."""
        return lambda: _error(gradient(lambda a: inner(y, f(a)), x)[0], back)

    yield "vmap", lambda: _error(torch.func.vmap(layer)(torch.stack([x, 2 * x])), np.stack([value, 2 * value]))
    compiled = torch.compile(_on_its_own(lambda a: layer(a)), fullgraph=True, backend="aot_eager")
    yield "torch.compile(fullgraph=True), backward", adjoint_through(compiled)
    yield "checkpoint", adjoint_through(lambda a: checkpoint(layer, a, use_reentrant=False))
    yield "output owns its memory", lambda: float(np.shares_memory(to_numpy(layer(x)), x.numpy()))
    yield "pickle", adjoint_through(pickle.loads(pickle.dumps(layer)))
    yield "deepcopy", adjoint_through(copy.deepcopy(layer))
    if not conformance.varies(op):
        return

    m = torch.from_numpy(op.model.m.copy())
    dm = 0.05 * m * torch.from_numpy(rng.uniform(0.2, 1, m.shape)).to(m.dtype)
    J = op.jacobian(x.numpy())

    def loss(b: Tensor, a: Tensor = x) -> Tensor:
        return inner(y, layer(a, m=b))

    yield (
        "Hessian in m, forward over reverse",
        lambda: _error(torch.func.jvp(torch.func.grad(loss), (m,), (dm,))[1], J.jacobian(dm.numpy()).H @ y.numpy()),
    )
    yield (
        "vmap of grad gives it per sample",
        lambda: _error(
            torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(m, torch.stack([x, 2 * x])),
            np.stack([k * J.rmatvec(y.numpy().ravel()) for k in (1, 2)]),
        ),
    )


def _on_its_own(f: FunctionType) -> FunctionType:
    """A copy of `f`: PyTorch allows few recompilations of one function, and a user may check many layers."""
    return FunctionType(f.__code__.replace(), f.__globals__, closure=f.__closure__)


def _error(value: Tensor, expected: ArrayLike) -> float:
    return relative_error(to_numpy(value), expected)
