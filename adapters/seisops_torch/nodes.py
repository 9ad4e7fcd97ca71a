"""What runs under a node of PyTorch: the partials of an operator, as an operator of torch's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pylops import LinearOperator
from torch import Tensor

from seisops.bridge import calculus, registry
from seisops.bridge.calculus import MAX_ORDER, Keeper
from seisops.bridge.form import Inputs, Partial
from seisops_torch import shim

Optional = Tensor | None


def to_numpy(t: Tensor) -> NDArray:
    """The values of a tensor, lazily conjugated ones and those of other devices too."""
    return t.detach().resolve_conj().cpu().numpy()


def torch_dtype(dtype: np.dtype) -> torch.dtype:
    """torch's name of a dtype."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def partials_of(
    op: LinearOperator, keeper: Keeper | None, partials: tuple[Partial, ...], tensors: Sequence[Optional]
) -> tuple[Tensor, ...]:
    """The partials of an operator at once, or as a node of what records or compiles them."""
    if len(tensors) > 3 + MAX_ORDER:
        raise RuntimeError(f"Derivatives with respect to the model end at order {MAX_ORDER + 1}.")
    if shim.plain(tensors):
        return values_of(op, keeper, partials, tensors)
    numbers = registry.register(op), 0 if keeper is None else registry.register(keeper)
    code = ",".join(f"{p.slot}{p.order}" for p in partials) + f" of {_made_for(op)}"
    # vmap and compilers know no lists of tensors.
    return tuple(evaluate(*numbers, code, *tensors, *[None] * (3 + MAX_ORDER - len(tensors)))[: len(partials)])


def values_of(
    op: LinearOperator, keeper: Keeper | None, partials: tuple[Partial, ...], tensors: Sequence[Optional]
) -> tuple[Tensor, ...]:
    """The partials of an operator at plain tensors."""
    inputs = Inputs.unflat([None if t is None else to_numpy(t) for t in tensors])
    results = calculus.evaluate(op, partials, inputs, keeper)
    device = next(t.device for t in tensors if t is not None)
    return tuple([torch.from_numpy(r).to(device) for r in results])


def _made_for(op: LinearOperator) -> str:
    # A compiled graph stays on the disk, and another process, where the number is another operator's, finds it by its
    # text: all that it was compiled for must stand there. Other graphs may be saved, and run whatever their text.
    shapes = [[int(n) for n in calculus.shape_of(op, slot)] for slot in "xym"]
    found_by_text = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    return f"{shapes} {op.dtype}" + ("" if found_by_text else f" in {registry.PROCESS}")


def _read(code: str, tensors: Sequence[Optional]) -> tuple[tuple[Partial, ...], tuple]:
    """The partials that a text names first, and the tensors without those that only fill places."""
    partials, made_for = code.split(" of ")
    if " in " in made_for and not made_for.endswith(registry.PROCESS):
        raise RuntimeError(
            "A program of torch.export or make_fx calls the operators of the process that made it, and was loaded in "
            "another: save the module's state and build the layer here."
        )
    tensors = list(tensors)
    while len(tensors) > 3 and tensors[-1] is None:
        tensors.pop()
    return tuple(Partial(c[0], int(c[1:])) for c in partials.split(",")), tuple(tensors)


def _three(results: Sequence[Tensor], like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return tuple([*results, *(like.new_empty(0) for _ in range(3 - len(results)))])


def _compute(op: int, keeper: int, code: str, m: Optional, x: Optional, y: Optional, a: Optional, b: Optional,
             c: Optional) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    partials, tensors = _read(code, (m, x, y, a, b, c))
    like = next(t for t in tensors if t is not None)
    inputs = Inputs.unflat(tensors).map(to_numpy)
    results = calculus.evaluate(registry.registered(op), partials, inputs, registry.keeper(keeper))
    return _three([torch.from_numpy(r).to(like.device) for r in results], like)


def _shapes(op: int, keeper: int, code: str, m: Optional, x: Optional, y: Optional, a: Optional, b: Optional,
            c: Optional) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    partials, tensors = _read(code, (m, x, y, a, b, c))
    like = next(t for t in tensors if t is not None)
    outputs = calculus.outputs(registry.registered(op), partials, Inputs.unflat(tensors))
    return _three([like.new_empty(s, dtype=torch_dtype(d)) for s, d in outputs], like)


evaluate = torch.library.custom_op("seisops::evaluate", _compute, mutates_args=())
evaluate.register_fake(_shapes)
