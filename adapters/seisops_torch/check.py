"""The conformance suite of a layer, on the user's own operator."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from seisops.algebra import SeismicOperator, derivative, describe
from seisops.checks import dot_test
from seisops_torch.layer import Layer


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
    results = {name: float(error()) for name, error in _cells(layer, torch.Generator().manual_seed(seed))}
    if verbose:
        print(f"conformance of {describe(layer.op)}")
        for name, error in results.items():
            print(f"  {name:44} {error:8.1e}")
    return results


def _cells(layer: Layer, generator: torch.Generator) -> Iterator[tuple[str, Callable[[], float]]]:
    op = layer.op
    dtype = layer(torch.zeros(op.dims, dtype=layer.dtype)).dtype

    def random(shape) -> Tensor:
        return torch.randn(tuple(shape), generator=generator, dtype=dtype)

    x, y = random(op.dims), random(op.dimsd)

    def gradient(f, *at) -> tuple[Tensor, ...]:
        leaves = [a.detach().requires_grad_() for a in at]
        return torch.autograd.grad(f(*leaves), leaves)

    def loss(value: Tensor, weight: Tensor = y) -> Tensor:
        return torch.real((weight.conj() * value).sum())

    yield "dot test of the operator", lambda: dot_test(op, verbose=False)
    yield "value", lambda: _error(layer(x), op.matvec(x.numpy().ravel()))
    yield (
        "gradient in x is the adjoint",
        lambda: _error(gradient(lambda a: loss(layer(a)), x)[0], op.rmatvec(y.numpy().ravel())),
    )
    yield (
        "a scaled loss scales the gradient",
        lambda: _error(gradient(lambda a: 10 * loss(layer(a)), x)[0], 10 * op.rmatvec(y.numpy().ravel())),
    )
    yield "forward mode", lambda: _error(torch.func.jvp(layer, (x,), (2 * x,))[1], 2 * op.matvec(x.numpy().ravel()))
    yield (
        "Hessian of |op x|² + |x|²",
        lambda: _error(
            torch.autograd.functional.hvp(lambda a: (layer(a).abs() ** 2).sum() + (a.abs() ** 2).sum(), x, x)[1],
            2 * op.rmatvec(op.matvec(x.numpy().ravel())) + 2 * x.numpy().ravel(),
        ),
    )
    batch = random((2, 1, *op.dims))
    one_by_one = torch.stack([layer(b) for b in batch[:, 0]])
    yield "batch and channel axes", lambda: _error(layer(batch)[:, 0], one_by_one)
    yield "vmap", lambda: _error(torch.func.vmap(layer)(batch[:, 0]), one_by_one)
    yield "layer.H", lambda: _error(layer.H(y), op.rmatvec(y.numpy().ravel()))
    yield "output owns its memory", lambda: float(np.shares_memory(layer(x).numpy(), x.numpy()))
    yield "pickle", lambda: _error(pickle.loads(pickle.dumps(layer))(x), layer(x))
    yield "deepcopy", lambda: _error(copy.deepcopy(layer)(x), layer(x))
    if not isinstance(op, SeismicOperator) or derivative(op, None, x.numpy()) is None:
        return

    m = torch.from_numpy(op.model.m.copy())
    dm = 0.05 * m * torch.rand(m.shape, generator=generator, dtype=m.dtype)
    J = op.jacobian(x.numpy())
    H = J.jacobian(dm.numpy())

    yield "value in another model", lambda: _error(layer(x, m=m + dm), op.at(m=(m + dm).numpy()) @ x.numpy())
    together = gradient(lambda a, b: loss(layer(a, m=b)), x, m)
    yield "gradient in m is the migration", lambda: _error(together[1], J.rmatvec(y.numpy().ravel()))
    yield "gradient in x and m together", lambda: _error(together[0], op.rmatvec(y.numpy().ravel()))
    yield (
        "forward mode in m",
        lambda: _error(torch.func.jvp(lambda b: layer(x, m=b), (m,), (dm,))[1], J.matvec(dm.numpy().ravel())),
    )
    yield (
        "Hessian in m, reverse over reverse",
        lambda: _error(
            torch.autograd.functional.hvp(lambda b: loss(layer(x, m=b)), m, dm)[1], H.rmatvec(y.numpy().ravel())
        ),
    )
    yield (
        "Hessian in m, forward over reverse",
        lambda: _error(
            torch.func.jvp(torch.func.grad(lambda b: loss(layer(x, m=b))), (m,), (dm,))[1],
            H.rmatvec(y.numpy().ravel()),
        ),
    )

    def two_forwards() -> float:
        first, second = m.clone().requires_grad_(), (m + dm).requires_grad_()
        y1, y2 = layer(x, m=first), layer(x, m=second)
        loss(y2).backward()
        loss(y1).backward()
        return _error(first.grad, J.rmatvec(y.numpy().ravel()))

    yield "two models forward before either backward", two_forwards
    models = torch.stack([m, m + dm])
    yield "a model for every sample", lambda: _error(layer(batch[:, 0], m=models)[1], layer(batch[1, 0], m=m + dm))
    per_sample = [gradient(lambda b, a=a: loss(layer(a, m=b)), m)[0] for a in batch[:, 0]]
    yield (
        "a shared model gets the summed gradient",
        lambda: _error(gradient(lambda b: loss(layer(batch[:, 0], m=b)), m)[0], per_sample[0] + per_sample[1]),
    )
    yield (
        "vmap of grad gives it per sample",
        lambda: _error(
            torch.func.vmap(torch.func.grad(lambda b, a: loss(layer(a, m=b))), in_dims=(None, 0))(m, batch[:, 0]),
            torch.stack(per_sample),
        ),
    )


def _error(value, expected) -> float:
    value, expected = (np.asarray(v.detach() if isinstance(v, Tensor) else v).ravel() for v in (value, expected))
    return float(np.linalg.norm(value - expected) / np.linalg.norm(expected))
