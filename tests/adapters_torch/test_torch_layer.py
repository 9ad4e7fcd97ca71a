"""What a layer keeps, counts and refuses."""

import copy
import doctest
import gc
import importlib
import pickle
import weakref

import numpy as np
import pylops
import pytest
import torch
from seisops_torch import Layer, VelocityModel, apply, check
from torch._subclasses import FakeTensorMode
from zoo import error, operator, random, world

import seisops as so

ROUNDING = 1e-12


@pytest.fixture
def layer():
    return Layer(world("2d").F)


@pytest.fixture
def q():
    return torch.from_numpy(world("2d").q.copy())


@pytest.fixture
def m():
    return torch.from_numpy(world("2d").model.m.copy())


@pytest.mark.row("Derivatives", "`check(layer)`: value, derivatives, batches, copies", "rounding")
def test_conformance(layer, capsys):
    spectra = pylops.signalprocessing.FFT(layer.op.dimsd, axis=-1, dtype="complex128") @ layer.op
    for op in (layer.op, operator("Pr A Pw.H").H, operator("J of F"), spectra, pylops.FirstDerivative(7)):
        errors = check(Layer(op))
        assert max(errors.values()) <= ROUNDING, errors
    assert "Hessian in m" in capsys.readouterr().out


class Wrong(pylops.MatrixMult):
    """An operator whose adjoint has the wrong sign."""

    def _rmatvec(self, x):
        return -super()._rmatvec(x)


def test_many_layers_can_be_checked():
    # PyTorch compiles one function for eight layers, and then no more.
    for n in range(7, 17):
        assert max(check(Layer(pylops.FirstDerivative(n)), verbose=False).values()) <= ROUNDING


def test_conformance_finds_a_wrong_adjoint():
    assert check(Layer(Wrong(random((3, 4)))))["dot test of the operator"] > 0.01


@pytest.mark.row("Solves a shot", "forward", "1")
@pytest.mark.row("Solves a shot", "backward, in x, in m or in both", "1")
def test_solves(layer, q, m, counted):
    both = [q.clone().requires_grad_(), m.clone().requires_grad_()]
    assert counted(lambda: layer(q)) == 1
    assert counted(lambda: layer(q, m=m)) == 1
    y = layer(both[0])
    assert counted(lambda: y.sum().backward()) == 1
    y = layer(both[0], m=both[1])
    assert counted(lambda: y.sum().backward()) == 1
    y = layer(q, m=both[1])
    assert counted(lambda: y.sum().backward()) == 1
    assert counted(lambda: layer(both[0], m=both[1])) == 1
    with torch.no_grad():
        assert counted(lambda: layer(both[0], m=both[1])) == 1


@pytest.mark.row("Solves a shot", "backward, where the storage keeps no wavefield", "more, for the same gradient")
def test_the_background_is_marched_again_only_where_the_storage_says_so(layer, q, m, counted):
    m.requires_grad_()
    gradients = []
    for storage, solves in ((so.storage.Memory(), 1), (so.storage.Checkpointed(3), None)):
        y = Layer(layer.op.configured(storage=storage))(q, m=m)
        taken = counted(lambda y=y: gradients.append(torch.autograd.grad(y.sum(), m)[0]))
        assert taken == solves if solves else taken > 1
    assert torch.equal(*gradients)


@pytest.mark.row("Derivatives", "two forwards with different m before either backward", "exact")
def test_two_models_before_either_backward(layer, q, m):
    models = [(f * m).requires_grad_() for f in (1.0, 0.98)]
    first, second = (layer(q, m=b) for b in models)
    second.sum().backward()
    first.sum().backward()
    for b in models:
        op = layer.op.at(m=b.detach().numpy())
        assert error(b.grad, op.jacobian(q.numpy()).H @ np.ones(op.dimsd)) <= ROUNDING


@pytest.mark.row("Derivatives", "scaled loss", "exact")
def test_a_scaled_loss_scales_the_gradient(layer, q, m):
    q.requires_grad_(), m.requires_grad_()
    y = layer(q, m=m).sum()
    single = torch.autograd.grad(y, (q, m), retain_graph=True)
    for a, b in zip(torch.autograd.grad(1024 * y, (q, m)), single, strict=True):
        assert torch.equal(a, 1024 * b)


@pytest.mark.row("Values", "tensors of another device", "device comes back")
def test_device_comes_back(layer, q, m):
    # Tensors without values, which need no such device.
    with FakeTensorMode():
        q, m = (torch.empty(a.shape, dtype=a.dtype, device="cuda") for a in (q, m))
        assert layer(q).device == layer(q, m=m).device == q.device
        assert layer(q, m=m.cpu()).device == q.device


@pytest.mark.row("Solves a shot", "backward that asks for neither", "0")
def test_nothing_is_solved_for_a_gradient_nobody_asked_for(layer, q, m, counted):
    w = torch.ones((), dtype=q.dtype, requires_grad=True)
    y = layer(q, m=m) * w
    assert counted(lambda: y.sum().backward()) == 0


@pytest.mark.parametrize("backward", [True, False], ids=["after a backward", "without one"])
def test_the_wavefield_is_let_go_with_the_graph(layer, q, m, backward):
    m.requires_grad_()
    y = layer(q, m=m)
    (kept,) = y.grad_fn.keeper.kept.values()
    histories = [weakref.ref(history) for history in kept.J.factors[-1].op._kept.values()]
    assert len(histories) == len(q)
    assert all(history() is not None for history in histories)
    if backward:
        y.sum().backward()
    del kept, y
    gc.collect()
    assert all(history() is None for history in histories)


@pytest.mark.row("Around the layer", "m changed in place before the backward", "raises")
def test_changing_the_model_in_place_before_the_backward_raises(layer, q, m):
    leaf = m.clone().requires_grad_()
    changed = leaf * 1
    y = layer(q, m=changed)
    changed.mul_(1.01)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.row("Values", "float64, float32, bfloat16, float16", "dtype comes back")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_dtype_comes_back(dtype):
    layer = Layer(pylops.FirstDerivative(6, dtype="float32"))
    x = torch.arange(6).to(dtype).requires_grad_()
    y = layer(x)
    y.sum().backward()
    assert y.dtype == dtype
    assert x.grad.dtype == dtype


@pytest.mark.row("Values", "float64 variables, float32 operator", "dtype comes back")
def test_gradient_of_a_float32_layer_in_float64_variables():
    world32 = world("2d-float32")
    layer = Layer(world32.F)
    q = torch.from_numpy(world32.q).requires_grad_()
    m = torch.from_numpy(world32.model.m.astype("float64")).requires_grad_()
    layer(q, m=m).sum().backward()
    assert (q.grad.dtype, m.grad.dtype) == (torch.float64, torch.float64)


@pytest.mark.row("Values", "autocast", "computed in the operator's precision")
def test_autocast():
    layer = Layer(world("2d-float32").F)
    q = torch.from_numpy(world("2d-float32").q.astype("float32"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(q)
        linear = torch.nn.Linear(y.shape[-1], 3)(y)
    assert y.dtype == torch.float32
    assert linear.dtype == torch.bfloat16
    assert error(y, layer.op @ q.numpy()) == 0


@pytest.mark.row("Values", "views, lazy conjugates, expanded and empty batches", "exact")
def test_views_conjugates_and_empty_batches():
    layer = Layer(pylops.MatrixMult(random((3, 4)) + 1j, dtype="complex128"))
    x = torch.from_numpy(random((4, 2)) + 1j * random((4, 2), 1))
    assert error((layer(x.T.conj()) - layer(x.T.conj().resolve_conj().contiguous())).abs() + 1, np.ones((2, 3))) == 0
    assert layer(torch.empty(0, 4, dtype=torch.complex128)).shape == (0, 3)
    # The imaginary part of a conjugate is lazily negative.
    real, lazy = Layer(pylops.MatrixMult(random((3, 4)))), x.T.conj().imag
    assert lazy.is_neg()
    assert error(real(lazy), real(lazy.resolve_neg().contiguous())) == 0
    assert error(layer(x[:, :1].T.expand(5, 4)).real, layer(x[:, 0]).real.expand(5, 3)) == 0


@pytest.mark.row("Values", "output that is the input", "a copy")
def test_output_never_shares_memory_with_the_input():
    x = torch.ones(5)
    y = Layer(pylops.Identity(5, dtype="float32"))(x)
    y += 1
    assert x.sum() == 5


@pytest.mark.row("Values", "batch axes of x and m", "broadcast")
def test_batch_of_models_and_inputs_broadcast(layer, q, m):
    models = torch.stack([m, 0.98 * m])
    y = layer(q, m=models)
    assert y.shape == (2, *layer.op.dimsd)
    assert error(y[1], layer(q, m=0.98 * m)) == 0


@pytest.mark.row("Derivatives", "Hessian of a regularised loss", "exact")
def test_regularised_hessian(layer):
    d = torch.from_numpy(world("2d").d.copy())
    v = torch.from_numpy(random(d.shape, 5))
    hessian = torch.autograd.functional.hvp(lambda w: (layer.H(w) ** 2).sum() + (w**2).sum(), d, v)[1]
    op = layer.op
    assert error(hessian.ravel(), 2 * op.matvec(op.rmatvec(v.numpy().ravel())) + 2 * v.numpy().ravel()) <= ROUNDING


@pytest.mark.row("Around the layer", "pickle, deepcopy, state_dict", "work")
def test_pickle_deepcopy_state(layer, q):
    for again in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert error(again(q), layer(q)) == 0
    assert layer.state_dict() == {}
    earth = VelocityModel(world("2d").model, bounds=(1.4, 2.6))
    other = VelocityModel(world("2d").model.at(m=world("2d").model.m * 1.1), bounds=(1.0, 2.5))
    other.load_state_dict(earth.state_dict())
    assert error(other().detach(), earth().detach()) == 0


def test_functional(q, m):
    F = world("2d").F
    assert error(apply(F, q), F @ q.numpy()) == 0
    assert error(apply(F, q, m=0.98 * m), F.at(m=0.98 * m.numpy()) @ q.numpy()) == 0


@pytest.mark.row("Networks and inversion", "full-waveform inversion by a torch optimiser", "the gradient of `so.fwi`")
def test_full_waveform_inversion_with_a_torch_optimiser_has_the_gradient_of_fwi(q):
    w = world("2d")
    d = w.F.at(m=w.model.m * 1.02) @ w.q
    earth, layer = VelocityModel(w.model, bounds=(1.0, 2.7)), Layer(w.F)
    optimiser = torch.optim.Adam(earth.parameters(), lr=1e-3)
    losses = []
    for _ in range(3):
        optimiser.zero_grad()
        loss = 0.5 * ((layer(q, m=earth()) - torch.from_numpy(d)) ** 2).sum()
        loss.backward()
        value, gradient = so.fwi(w.F.at(m=earth().detach().numpy()), w.q, d)
        # dm/dv = -2/v³ is the chain rule of the velocity; what remains is the order of sums.
        v = earth.v.detach().numpy()
        assert error(earth.v.grad, -2 * v**-3 * gradient) <= ROUNDING
        assert abs(value - loss.item()) <= ROUNDING * value
        losses.append(loss.item())
        optimiser.step()
    assert losses[2] < losses[0]


def test_bounds_hold():
    earth = VelocityModel(world("2d").model, bounds=(1.4, 2.6))
    with torch.no_grad():
        earth.v[0], earth.v[1] = 1.0, 3.0
    v = (earth() ** -0.5).detach()
    assert v.min() == pytest.approx(1.4, rel=1e-12)
    assert v.max() == pytest.approx(2.6, rel=1e-12)


def test_bounds_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"v from 1\.4 to 4\.6 let waves reach 4\.6 km/s, above 2\.7"):
        VelocityModel(world("2d").model, bounds=(1.4, 4.6))
    with pytest.raises(ValueError, match=r"The bounds of v exclude where it starts, 1\.5"):
        VelocityModel(world("2d").model, bounds=(1.8, 2.6))


@pytest.mark.row(
    "Messages",
    "wrong shape, dtype or batch axes, m above the stability limit, values not finite",
    "raises, naming what was expected",
)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q, m: (q[..., :-1], m), "must end with"),
        (lambda q, m: (q, m[1:]), "The model m must end with"),
        (lambda q, m: (q.long(), m), "floating-point"),
        (lambda q, m: (q + 1j, m), "real: apply it to the real and the imaginary part"),
        (lambda q, m: (q, m * 0.1), "stability limit"),
        (lambda q, m: (q, m * np.nan), "positive and finite"),
        (lambda q, m: (q * np.nan, m), "not finite"),
        (lambda q, m: (q.expand(3, *q.shape), m.expand(2, *m.shape)), "batch axes"),
    ],
)
def test_wrong_input_is_refused_by_name(layer, q, m, change, message):
    q, m = change(q, m)
    with pytest.raises((ValueError, TypeError), match=message):
        layer(q, m=m)


@pytest.mark.row("Messages", "m given to an operator that has none", "raises")
def test_a_constant_operator_refuses_a_model(m):
    with pytest.raises(ValueError, match="does not depend on m"):
        Layer(pylops.FirstDerivative(5))(torch.ones(5, dtype=torch.float64), m=m)


@pytest.mark.row("Values", "overflowing loss scale", "gradient not finite, for the scaler to skip")
def test_an_overflowing_gradient_comes_back_as_such(layer, q):
    q.requires_grad_()
    (layer(q).sum() * torch.inf).backward()
    assert not torch.isfinite(q.grad).any()


@pytest.mark.parametrize("name", ["layer", "check", "velocity"])
def test_examples_of_the_documentation(name):
    result = doctest.testmod(importlib.import_module(f"seisops_torch.{name}"))
    assert result.attempted and not result.failed
