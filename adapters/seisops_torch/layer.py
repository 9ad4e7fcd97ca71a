"""The bridge of seisops bound to PyTorch: one autograd function, closed under differentiation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from pylops import LinearOperator
from torch import Tensor, nn

from seisops import bridge, compose
from seisops.algebra import describe
from seisops.bridge import FORWARD, Inputs, Keeper, Partial


def apply(op: LinearOperator, x: Tensor, m: Tensor | None = None) -> Tensor:
    """``op @ x``, or ``op.at(m=m) @ x``, differentiable in both.

    Parameters
    ----------
    op : LinearOperator
        Any operator of seisops or PyLops, of any composition.
    x : tensor, shape ending with ``op.dims``
        What stands before is batch.
    m : tensor, shape ending with ``op.model.shape``, optional, s²/km²
        Squared slowness; one for all, or with the batch axes of `x`.

    Returns
    -------
    tensor, the batch axes followed by ``op.dimsd``
        Of the dtype and on the device of `x`; computed in the operator's precision.

    Raises
    ------
    ValueError, TypeError
        For shapes or kinds of numbers that do not fit, before anything runs.

    Examples
    --------
    >>> import pylops, torch
    >>> apply(pylops.FirstDerivative(5), torch.ones(3, 5, dtype=torch.float64)).shape
    torch.Size([3, 5])
    """
    op = compose(op)
    return _apply(op, None, *_dtypes(op), x, m)


class Layer(nn.Module):
    """An operator as a module: ``layer(x)`` or ``layer(x, m=m)``.

    Parameters
    ----------
    op : LinearOperator
        Any operator of seisops or PyLops, of any composition. `Layer(Pr @ A @ Pw.H)(w, m=m)` models extended sources,
        `Layer((Pr @ A @ Pw.H).H)(d, m=m)` is its adjoint, `Layer(Pr @ A @ Ps.H)(q, m=m)` models in a trainable earth.

    Examples
    --------
    >>> import pylops, torch
    >>> layer = Layer(pylops.FirstDerivative(5, dtype="float32"))
    >>> layer(torch.ones(8, 1, 5)).shape
    torch.Size([8, 1, 5])
    >>> layer.H
    Layer(_AdjointLinearOperator: (5,) -> (5,))
    """

    def __init__(self, op: LinearOperator) -> None:
        super().__init__()
        self.op = compose(op)
        self._number = bridge.register(self.op)
        self._dtypes = _dtypes(self.op)

    def forward(self, x: Tensor, m: Tensor | None = None) -> Tensor:
        """See :func:`apply`."""
        return _apply(self.op, self._number, *self._dtypes, x, m)

    @property
    def dtype(self) -> torch.dtype:
        """Precision the operator computes in; input of another is converted there and back."""
        return self._dtypes[0]

    @property
    def H(self) -> Layer:
        """The layer of the adjoint operator."""
        return Layer(self.op.H)

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._number = bridge.register(self.op)

    def extra_repr(self) -> str:
        return describe(self.op)


def _apply(op: LinearOperator, number: int | None, dtype: torch.dtype, model_dtype: torch.dtype, x: Tensor,
           m: Tensor | None) -> Tensor:  # fmt: skip
    batch = bridge.check_input(op, "x", x.shape)
    bridge.check_kind(op, x.is_complex(), x.is_floating_point() or x.is_complex())
    given = x.dtype
    x = x.to(dtype)
    if m is not None:
        models = bridge.check_input(op, "m", m.shape)
        if models and models != batch:
            try:
                batch = torch.broadcast_shapes(batch, models)
            except RuntimeError as error:
                raise ValueError(
                    f"The batch axes of m, {models}, do not go with those of the input, {batch}."
                ) from error
            x = x.expand(*batch, *op.dims)
            m = m.expand(*batch, *bridge.shape_of(op, "m"))
        m = m.to(device=x.device, dtype=model_dtype)
    if torch.compiler.is_compiling() and number is not None:
        y = _eager(op, m, x) if _transformed() else _form(number, 0, *_signature((FORWARD,), (m, x, None)))[0]
    else:
        y = _evaluate_forward(op, m, x)
    return y.to(_real_or_complex(given, y))


def _evaluate_forward(op: LinearOperator, m: Tensor | None, x: Tensor) -> Tensor:
    levels = torch._C._functorch.get_interpreter_stack() or ()
    if sum(level.key() == torch._C._functorch.TransformType.Jvp for level in levels) > 1:
        raise RuntimeError(
            "Forward mode over forward mode gives wrong mixed derivatives through any autograd function, in PyTorch "
            "itself. Use forward over reverse, torch.func.hessian or jvp(grad(f)), which is exact here."
        )
    # Whether a wavefield is worth keeping shows here only: inside the function no tensor requires a gradient.
    keeper = Keeper(wanted=m is not None and m.requires_grad and torch.is_grad_enabled())
    return _Form.apply(op, keeper, (FORWARD,), m, x, None)[0]


_eager = torch.compiler.disable(_evaluate_forward)


@torch.compiler.assume_constant_result
def _transformed() -> bool:
    """Whether a transform of torch.func is active, which a custom operator would not see."""
    return torch._C._functorch.peek_interpreter_stack() is not None


class _Form(torch.autograd.Function):
    """The partials of an operator's form; their derivatives are partials again."""

    @staticmethod
    def forward(op, keeper: Keeper, partials: tuple[Partial, ...], *tensors: Tensor | None) -> tuple[Tensor, ...]:
        numbers = bridge.register(op), bridge.register(keeper)
        return tuple(_evaluate(*numbers, *_signature(partials, tensors))[: len(partials)])

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.op, ctx.keeper, ctx.partials, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors, *output)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, *gradients: Tensor | None) -> tuple:
        results = _pull(ctx.saved_tensors, ctx.partials, gradients, ctx.needs_input_grad[3:],
                        lambda partials, inputs: _Form.apply(ctx.op, ctx.keeper, partials, *inputs))  # fmt: skip
        return (None, None, None, *results)

    @staticmethod
    def jvp(ctx, _op, _keeper, _partials, *directions: Tensor | None) -> tuple:
        n = len(directions)
        inputs, values = Inputs.unflat(ctx.saved_tensors[:n]), ctx.saved_tensors[n:]
        results = []
        for partial, value in zip(ctx.partials, values, strict=True):
            total = None
            for p, at in bridge.tangents(partial, inputs, Inputs.unflat(directions)):
                total = _add(total, _Form.apply(ctx.op, ctx.keeper, (p,), *at.flat())[0])
            results.append(torch.zeros_like(value) if total is None else total)
        return tuple(results)

    @staticmethod
    def vmap(info, in_dims, op, keeper, partials, *tensors: Tensor | None):
        gradient = any(p.slot == "m" for p in partials)
        moved = []
        for i, (t, d) in enumerate(zip(tensors, in_dims[3:], strict=True)):
            if t is not None and d is not None:
                t = t.movedim(d, 0)
            elif t is not None and (gradient or i in (1, 2)):
                # Expanded, or the gradients of all samples would be summed.
                t = t.unsqueeze(0).expand(info.batch_size, *t.shape)
            moved.append(t)
        results = _Form.apply(op, keeper, partials, *moved)
        return results, (0,) * len(results)


def _pull(tensors, partials, gradients, wanted, call) -> list[Tensor | None]:
    """The gradient of every tensor, `call` evaluating partials."""
    inputs, totals = Inputs.unflat(tensors), [None] * len(tensors)
    for partial, gradient in zip(partials, gradients, strict=True):
        if gradient is None:
            continue
        for needed, at, positions in bridge.cotangents(partial, inputs, gradient, wanted):
            for position, result in zip(positions, call(needed, at.flat()), strict=True):
                totals[position] = _add(totals[position], result)
    return totals


def _add(a: Tensor | None, b: Tensor) -> Tensor:
    return b if a is None else a + b


def _numpy(t: Tensor) -> np.ndarray:
    return t.detach().resolve_conj().resolve_neg().cpu().numpy()


def _dtypes(op: LinearOperator) -> tuple[torch.dtype, torch.dtype]:
    """Of an operator's input, and of its model."""
    return _dtype(op.dtype), _dtype(np.zeros(0, op.dtype).real.dtype)


def _dtype(dtype: np.dtype) -> torch.dtype:
    return torch.from_numpy(np.empty(0, dtype)).dtype


def _real_or_complex(given: torch.dtype, y: Tensor) -> torch.dtype:
    """The dtype that came in, made complex where the operator makes its input complex."""
    return given.to_complex() if y.is_complex() else given


# ---------------------------------------------------------------------- torch's own operators

Optional = Tensor | None


def _signature(partials: Sequence[Partial], tensors: Sequence[Optional]) -> tuple:
    """The partials as text and the tensors in their fixed places; vmap and compilers know no lists of tensors."""
    if len(tensors) > 3 + bridge.MAX_ORDER:
        raise RuntimeError(f"Derivatives with respect to the model end at order {bridge.MAX_ORDER}.")
    code = ",".join(f"{p.slot}{p.order}" for p in partials)
    return code, *tensors, *[None] * (3 + bridge.MAX_ORDER - len(tensors))


def _read(code: str, tensors: Sequence[Optional]) -> tuple[tuple[Partial, ...], tuple]:
    """The inverse of :func:`_signature`."""
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
    inputs = Inputs.unflat(tensors).map(_numpy)
    results = bridge.evaluate(bridge.registered(op), partials, inputs, bridge.registered(keeper))
    return _three([torch.from_numpy(r).to(like.device) for r in results], like)


def _shapes(op: int, keeper: int, code: str, m: Optional, x: Optional, y: Optional, a: Optional, b: Optional,
            c: Optional) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    partials, tensors = _read(code, (m, x, y, a, b, c))
    like = next(t for t in tensors if t is not None)
    outputs = bridge.outputs(bridge.registered(op), partials, Inputs.unflat(tensors))
    return _three([like.new_empty(s, dtype=_dtype(d)) for s, d in outputs], like)


# One for eager mode, which _Form differentiates; one for compiled graphs, which differentiates itself.
_evaluate = torch.library.custom_op("seisops::evaluate", _compute, mutates_args=())
_evaluate.register_fake(_shapes)
_form = torch.library.custom_op("seisops::form", _compute, mutates_args=())
_form.register_fake(_shapes)


def _form_setup(ctx, inputs, output) -> None:
    ctx.op, _, ctx.code, *tensors = inputs
    ctx.save_for_backward(*tensors)


def _form_backward(ctx, *gradients: Optional) -> tuple:
    partials, tensors = _read(ctx.code, ctx.saved_tensors)

    def call(partials: Sequence[Partial], inputs: Sequence[Optional]) -> tuple[Tensor, ...]:
        return _form(ctx.op, 0, *_signature(partials, inputs))[: len(partials)]

    results = _pull(tensors, partials, gradients[: len(partials)], ctx.needs_input_grad[3:], call)
    return None, None, None, *results, *[None] * (3 + bridge.MAX_ORDER - len(results))


_form.register_autograd(_form_backward, setup_context=_form_setup)
