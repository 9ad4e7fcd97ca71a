"""The bridge of seisops bound to PyTorch: one autograd function, closed under differentiation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from pylops import LinearOperator
from torch import Tensor, nn

from seisops import compose
from seisops.algebra import describe
from seisops.arrays import real_type
from seisops.bridge import calculus, form, registry
from seisops.bridge.arguments import check_input, check_kind, check_parameter
from seisops.bridge.calculus import Keeper
from seisops.bridge.form import FORWARD, Inputs, Partial
from seisops.bridge.parameters import Names, broadcast, names_of
from seisops_torch import shim
from seisops_torch.nodes import partials_of, torch_dtype, values_of


@torch.compiler.disable
def apply(op: LinearOperator, x: Tensor, m: Tensor | None = None, **parameters: Tensor) -> Tensor:
    """``op @ x``, or ``op.at(m=m) @ x``, differentiable in both.

    Parameters
    ----------
    op : LinearOperator
        Any operator of seisops or PyLops, of any composition.
    x : tensor, shape ending with ``op.dims``
        What stands before is batch.
    m : tensor, shape ending with ``op.model.shape``, optional, s²/km²
        Squared slowness; one for all, or with the batch axes of `x`.
    **parameters : tensors
        The medium's parameters by any name that ``op.model.at`` takes, the velocity ``v=v`` among them.

    Returns
    -------
    tensor, the batch axes followed by ``op.dimsd``
        Of the dtype and on the device of `x`; computed in the operator's precision.

    Raises
    ------
    ValueError, TypeError
        For shapes or kinds of numbers that do not fit, before anything runs.

    Notes
    -----
    Derivatives of every order in x, and up to the fourth in m, are right; beyond, and for forward mode over forward
    mode, it raises. Inside a function that ``torch.compile`` compiles, this one stays eager; :class:`Layer` compiles,
    with ``fullgraph=True`` too.

    Examples
    --------
    >>> import pylops, torch
    >>> apply(pylops.FirstDerivative(5), torch.ones(3, 5, dtype=torch.float64)).shape
    torch.Size([3, 5])
    """
    op = compose(op)
    return _apply(op, None, _traits(op), x, {"m": m, **parameters})


class Layer(nn.Module):
    """An operator as a module: ``layer(x)``, ``layer(x, m=m)`` or ``layer(x, v=v)``.

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
    >>> layer.H(torch.ones(5))
    tensor([-0.5000, -0.5000,  0.0000,  0.5000,  0.5000])
    """

    def __init__(self, op: LinearOperator) -> None:
        super().__init__()
        self.op = op

    @property
    def op(self) -> LinearOperator:
        """The operator, composed; what compiled functions know of it follows when it is replaced."""
        return self._op

    @op.setter
    def op(self, op: LinearOperator) -> None:
        self._op = compose(op)
        self._number, self._own = registry.register(self._op), _traits(self._op)

    def forward(self, x: Tensor, m: Tensor | None = None, **parameters: Tensor) -> Tensor:
        """See :func:`apply`."""
        return _apply(self.op, self._number, self._own, x, {"m": m, **parameters})

    @property
    def dtype(self) -> torch.dtype:
        """Precision the operator computes in; input of another is converted there and back."""
        return self._own.dtype

    @property
    def H(self) -> Layer:
        """The layer of the adjoint operator."""
        return Layer(self.op.H)

    def __getstate__(self) -> dict:
        # The formulas of a medium are functions made on the way, which cannot be pickled.
        return {name: value for name, value in self.__dict__.items() if name != "_own"}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self.op = self._op

    def extra_repr(self) -> str:
        return describe(self.op)


@dataclass(frozen=True)
class _Traits:
    """What a layer needs to know of its operator, as a compiler can read it: PyLops' dims are NumPy's integers."""

    dtype: torch.dtype
    model_dtype: torch.dtype
    dims: tuple[int, ...]
    model_shape: tuple[int, ...]
    names: Names


def _traits(op: LinearOperator) -> _Traits:
    dims, model_shape = (tuple(int(n) for n in calculus.shape_of(op, slot)) for slot in ("x", "m"))
    return _Traits(torch_dtype(op.dtype), torch_dtype(real_type(op.dtype)), dims, model_shape, names_of(op))


def _apply(op: LinearOperator, number: int | None, own: _Traits, x: Tensor, given: dict[str, Tensor | None]) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(f"A layer takes a tensor, not {type(x).__name__}: torch.from_numpy makes one of an array.")
    batch = check_input(op, x.shape, own.dims)
    check_kind(op, x.is_complex(), x.is_floating_point() or x.is_complex())
    m = _model(own, given, x.device)
    dtype, x = x.dtype, x.to(own.dtype)
    if m is not None and m.ndim > len(own.model_shape):
        models = tuple(m.shape[: m.ndim - len(own.model_shape)])
        if models != batch:
            batch = broadcast(batch, models)
            x = x.expand(*batch, *own.dims)
            m = m.expand(*batch, *own.model_shape)
    y = _compiled(number, m, x) if torch.compiler.is_compiling() and number is not None else _eager(op, m, x)
    return y.to(_real_or_complex(dtype, y))


def _model(own: _Traits, given: dict[str, Tensor], device: torch.device) -> Tensor | None:
    """The parameters of the medium as one tensor in the operator's precision, None where none is given."""

    def ready(name: str, value: Tensor) -> Tensor:
        # A model's own arrays cannot be written to, which torch wants of what it shares memory with.
        value = value if isinstance(value, Tensor) else torch.tensor(value)
        check_parameter(name, value.is_floating_point(), value.dtype)
        return value.to(device=device, dtype=own.model_dtype)

    def join(parts: list[Tensor]) -> Tensor:
        return torch.stack(torch.broadcast_tensors(*parts), -len(own.model_shape))

    return own.names.stack(given, ready, join)


def _eager(op: LinearOperator, m: Tensor | None, x: Tensor) -> Tensor:
    # Whether a wavefield is worth keeping shows here only: inside the function no tensor requires a gradient.
    keeper = Keeper(wanted=m is not None and m.requires_grad and torch.is_grad_enabled())
    return _forward(op, keeper, m, x)


# The compiler would refuse a function with a jvp: it takes this call as it is, and finds torch's own operator below it.
@torch.compiler.allow_in_graph
def _compiled(number: int, m: Tensor | None, x: Tensor) -> Tensor:
    return _forward(registry.registered(number), None, m, x)


def _forward(op: LinearOperator, keeper: Keeper | None, m: Tensor | None, x: Tensor) -> Tensor:
    if shim.forward_levels() > 1:
        raise RuntimeError(
            "Forward mode over forward mode gives wrong mixed derivatives through any autograd function, in PyTorch "
            "itself. Use forward over reverse, torch.func.hessian or jvp(grad(f)), which is exact here."
        )
    if not shim.plain((m, x)):
        return _Form.apply(op, keeper, (FORWARD,), m, x, None)[0]
    if not shim.recorded((m, x)):
        return values_of(op, None, (FORWARD,), (m, x, None))[0]
    return _Plain.apply(op, keeper, (FORWARD,), m, x, None)[0]


class _Form(torch.autograd.Function):
    """The partials of an operator's form; their derivatives are partials again."""

    @staticmethod
    def forward(
        op, keeper: Keeper | None, partials: tuple[Partial, ...], *tensors: Tensor | None
    ) -> tuple[Tensor, ...]:
        return partials_of(op, keeper, partials, tensors)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.op, ctx.keeper, ctx.partials, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors, *output)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, *gradients: Tensor | None) -> tuple:
        inputs = Inputs.unflat(ctx.saved_tensors)
        return (None, None, None, *form.pull(ctx.partials, inputs, gradients, ctx.needs_input_grad[3:], _call(ctx)))

    @staticmethod
    def jvp(ctx, _op, _keeper, _partials, *directions: Tensor | None) -> tuple:
        n = len(directions)
        inputs, values = Inputs.unflat(ctx.saved_tensors[:n]), ctx.saved_tensors[n:]
        along = Inputs.unflat(directions)
        results = [form.push(partial, inputs, along, _call(ctx)) for partial in ctx.partials]
        return tuple(torch.zeros_like(v) if r is None else r for v, r in zip(values, results, strict=True))

    @staticmethod
    def vmap(info, in_dims, op, keeper, partials, *tensors: Tensor | None):
        moved = []
        for i, (t, d) in enumerate(zip(tensors, in_dims[3:], strict=True)):
            if t is not None and d is not None:
                t = t.movedim(d, 0)
            elif t is not None and calculus.repeats(op, partials, i, t.ndim):
                t = t.unsqueeze(0).expand(info.batch_size, *t.shape)
            moved.append(t)
        results = _Form.apply(op, keeper, partials, *moved)
        return results, (0,) * len(results)


class _Plain(torch.autograd.Function):
    """The same of plain tensors, for which PyTorch need not bind a signature first."""

    @staticmethod
    def forward(ctx, *inputs) -> tuple[Tensor, ...]:
        op, keeper, partials, *tensors = inputs
        output = values_of(op, keeper, partials, tensors)
        _Form.setup_context(ctx, inputs, output)
        return output

    backward, jvp = _Form.backward, _Form.jvp


def _call(ctx) -> Callable:
    return lambda partials, inputs: _Form.apply(ctx.op, ctx.keeper, partials, *inputs.flat())


def _real_or_complex(given: torch.dtype, y: Tensor) -> torch.dtype:
    """The dtype that came in, made complex where the operator makes its input complex."""
    if not y.is_complex():
        return given
    return torch.complex128 if given in (torch.float64, torch.complex128) else torch.complex64
