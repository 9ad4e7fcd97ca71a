"""What runs under a node of PyTorch: the partials of an operator, as an operator of torch's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisops.bridge import calculus as bridge
from seisops.bridge.calculus import Inputs, Partial

Optional = Tensor | None


def pull(tensors, partials, gradients, wanted, call) -> list[Tensor | None]:
    """The gradient of every tensor, `call` evaluating partials."""
    inputs, totals = Inputs.unflat(tensors), [None] * len(tensors)
    for partial, gradient in zip(partials, gradients, strict=True):
        if gradient is None:
            continue
        for needed, at, positions in bridge.cotangents(partial, inputs, gradient, wanted):
            for position, result in zip(positions, call(needed, at.flat()), strict=True):
                totals[position] = add(totals[position], result)
    return totals


def add(a: Tensor | None, b: Tensor) -> Tensor:
    """The sum, None standing for zero."""
    return b if a is None else a + b


def to_numpy(t: Tensor) -> NDArray:
    """The values of a tensor, lazily conjugated ones and those of other devices too."""
    return t.detach().resolve_conj().cpu().numpy()


def torch_dtype(dtype: np.dtype) -> torch.dtype:
    """torch's name of a dtype."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def signature(partials: Sequence[Partial], tensors: Sequence[Optional]) -> tuple:
    """The partials as text and the tensors in their fixed places; vmap and compilers know no lists of tensors."""
    if len(tensors) > 3 + bridge.MAX_ORDER:
        raise RuntimeError(f"Derivatives with respect to the model end at order {bridge.MAX_ORDER + 1}.")
    code = ",".join(f"{p.slot}{p.order}" for p in partials)
    return code, *tensors, *[None] * (3 + bridge.MAX_ORDER - len(tensors))


def _read(code: str, tensors: Sequence[Optional]) -> tuple[tuple[Partial, ...], tuple]:
    """The inverse of :func:`signature`."""
    tensors = list(tensors)
    while len(tensors) > 3 and tensors[-1] is None:
        tensors.pop()
    return tuple(Partial(c[0], int(c[1:])) for c in code.split(",")), tuple(tensors)


def _three(results: Sequence[Tensor], like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return tuple([*results, *(like.new_empty(0) for _ in range(3 - len(results)))])


def _compute(op: int, keeper: int, code: str, m: Optional, x: Optional, y: Optional, a: Optional, b: Optional,
             c: Optional) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    partials, tensors = _read(code, (m, x, y, a, b, c))
    like = next(t for t in tensors if t is not None)
    inputs = Inputs.unflat(tensors).map(to_numpy)
    results = bridge.evaluate(bridge.registered(op), partials, inputs, bridge.keeper(keeper))
    return _three([torch.from_numpy(r).to(like.device) for r in results], like)


def _shapes(op: int, keeper: int, code: str, m: Optional, x: Optional, y: Optional, a: Optional, b: Optional,
            c: Optional) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    partials, tensors = _read(code, (m, x, y, a, b, c))
    like = next(t for t in tensors if t is not None)
    outputs = bridge.outputs(bridge.registered(op), partials, Inputs.unflat(tensors))
    return _three([like.new_empty(s, dtype=torch_dtype(d)) for s, d in outputs], like)


evaluate = torch.library.custom_op("seisops::evaluate", _compute, mutates_args=())
evaluate.register_fake(_shapes)
