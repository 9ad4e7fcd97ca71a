"""Layers of media of several parameters: gradients by name, alone and together."""

import pickle

import numpy as np
import pytest
import torch
from seisops_torch import EarthModel, Layer, check
from zoo import ROUNDING, error

import seisops as so


@pytest.fixture(scope="module")
def survey():
    rng = np.random.default_rng(1)
    shape = (13, 12)
    model = so.Model(
        vp=rng.uniform(1.5, 2.5, shape), vs=rng.uniform(0.4, 1.0, shape), rho=rng.uniform(1, 2, shape),
        spacing=10.0, absorb=3, space_order=4, dtype="float64", vmax=3.0,
    )  # fmt: skip
    src, rec = (so.Geometry(rng.uniform(20, 90, (2, n, 2)), dt=2.0, t=40.0) for n in (1, 2))
    return model, so.modeling(model, src, rec), torch.from_numpy(rng.standard_normal((2, 1, src.nt)))


def test_gradients_in_every_parameter(survey):
    model, F, q = survey
    y = F @ q.numpy()
    r = np.random.default_rng(2).standard_normal(y.shape)
    tensors = {n: torch.from_numpy(x.copy()).requires_grad_() for n, x in model.parameters.items()}
    out = Layer(F)(q, **tensors)
    assert error(out.detach().numpy(), y) <= ROUNDING
    out.backward(torch.from_numpy(r))
    names = tuple(model.parameters)
    expected = F.jacobian(q.numpy(), wrt=names).H @ r
    for name, image in zip(names, expected, strict=True):
        assert error(tensors[name].grad.numpy(), image) <= ROUNDING


def test_gradients_in_parameters_spelled_otherwise(survey):
    model, F, q = survey
    r = np.random.default_rng(2).standard_normal(F.dimsd)
    tensors = {n: torch.from_numpy(model.quantity(n)).requires_grad_() for n in ("lam", "mu", "rho")}
    Layer(F)(q, **tensors).backward(torch.from_numpy(r))
    expected = F.jacobian(q.numpy(), wrt=tuple(tensors)).H @ r
    for (_, x), image in zip(tensors.items(), expected, strict=True):
        assert error(x.grad.numpy(), image) <= 1e-10


def test_second_order_by_name(survey):
    _, F, q = survey
    model, layer = survey[0], Layer(F)
    vs = torch.from_numpy(model.vs.copy())

    def loss(vs):
        return layer(q, vs=vs).square().sum()

    dvs = torch.from_numpy(0.05 * np.random.default_rng(3).uniform(-1, 1, model.shape))
    gradient = torch.func.grad(loss)
    curved = torch.func.jvp(gradient, (vs,), (dvs,))[1]
    eps = 1e-4
    expected = (gradient(vs + eps * dvs) - gradient(vs - eps * dvs)) / (2 * eps)
    assert error(curved.numpy(), expected.numpy()) <= 1e-6


def test_conformance(survey):
    """What a user runs on a layer of a solid: all derivatives, in all parameters at once."""
    errors = check(Layer(survey[1]), verbose=False)
    assert {"gradient in m is the migration", "Hessian in m, forward over reverse"} <= set(errors)
    assert max(errors.values()) <= ROUNDING, errors


def test_an_earth_is_trained(survey):
    model, F, q = survey
    earth = EarthModel(model, ("vp", "vs"), bounds={"vs": (0.3, 1.05)})
    target = Layer(F)(q, vp=torch.from_numpy(1.03 * model.vp), vs=torch.from_numpy(0.97 * model.vs)).detach()
    optimiser, layer, losses = torch.optim.Adam(earth.parameters(), lr=2e-3), Layer(F), []
    for _ in range(12):
        optimiser.zero_grad()
        loss = (layer(q, **earth()) - target).square().sum()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    assert float(earth()["vs"].detach().max()) <= 1.05


def test_an_earth_of_unknowns_has_the_gradient_of_the_objective(survey):
    model, F, q = survey
    fixed = np.zeros(model.shape, bool)
    fixed[:, :3] = True
    P = so.parametrisation(model, "vp", vs="sqrt(mu / rho)", rho="rho", bounds={"vp": (1.4, 2.6)}, fixed=fixed)
    d = F.at(vp=0.98 * model.vp) @ q.numpy()
    value, gradient = so.fwi(F, q.numpy(), d, wrt=P(P.start))
    for earth in (EarthModel(P), pickle.loads(pickle.dumps(EarthModel(P)))):
        loss = 0.5 * (Layer(F)(q, **earth()) - torch.from_numpy(d)).square().sum()
        loss.backward()
        assert float(loss.detach()) == pytest.approx(value, rel=1e-12)
        for name, g in zip(("vp", "mu", "rho"), gradient, strict=True):
            assert error(earth.values[name].grad.numpy(), g) <= 1e-12
        assert {"fixed", "own_vs", "low_vp"} <= set(earth.state_dict())


def test_an_earth_that_cannot_be_is_refused(survey):
    model = survey[0]
    with pytest.raises(TypeError, match=r"of a model and names of its parameters, or of so\.parametrisation"):
        EarthModel(so.parametrisation(model, "vp"), "vp")
    with pytest.raises(ValueError, match=r"vp from 1 to 9 let waves reach 10\.37 km/s at nodes beside lighter ones"):
        EarthModel(model, "vp", bounds={"vp": (1, 9)})
    with pytest.raises(ValueError, match="Elastic has no parameter 'v'"):
        EarthModel(model, "v")
    with pytest.raises(ValueError, match=r"Bounds of rho, which is not trained: vp are"):
        EarthModel(model, "vp", bounds={"rho": (1, 2)})
    with pytest.raises(ValueError, match=r"The bounds of vp exclude where it starts, 1\.5"):
        EarthModel(model, "vp", bounds={"vp": (2.0, 2.2)})
