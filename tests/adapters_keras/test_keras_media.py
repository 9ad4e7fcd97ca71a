"""Media of several parameters in Keras: their layers, their files, and earths that train them."""

import inspect
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.testing.test_case import TestCase
from seisops_keras import EarthModel, Layer, apply, check, spec
from seisops_keras.tensorflow import register

import seisops as so
from seisops.physics import MEDIA, Medium

RANGES = {
    "v": (1.5, 2.5), "vp": (1.5, 2.5), "vs": (0.4, 1.0), "rho": (1.0, 2.0), "epsilon": (0.1, 0.2), "delta": (0.0, 0.1),
    "theta": (-40.0, 40.0), "Q": (30.0, 90.0), "Qp": (40.0, 90.0), "Qs": (40.0, 90.0),
}  # fmt: skip
SOLID = ("vp", "vs", "rho")
EARTHS = {
    "density": ("v", "rho"),
    "VTI": ("v", "epsilon", "delta"),
    "TTI": ("v", "epsilon", "delta", "theta"),
    "attenuating": ("v", "Q"),
    "elastic": SOLID,
    "elastic VTI": (*SOLID, "epsilon", "delta"),
    "viscoelastic": (*SOLID, "Qp", "Qs"),
}


def earth(*names, **options):
    rng = np.random.default_rng(1)
    shape = (13, 12)
    if {"Q", "Qp"} & set(names):
        options |= {"f_ref": 0.02}
    values = {n: rng.uniform(*RANGES[n], shape) for n in names}
    return so.Model(**values, spacing=10.0, absorb=3, space_order=4, dtype="float64", **options)


def surveyed(model, component="p"):
    rng = np.random.default_rng(2)
    src, rec = (so.Geometry(rng.uniform(30, 80, (2, n, 2)), dt=2.0, t=40.0) for n in (1, 2))
    Pr = so.Projection(model, rec, component=component)
    F = Pr @ so.Modeling(model, rec) @ so.Projection(model, src).H
    return F, rng.standard_normal(F.dims)


@pytest.fixture(scope="module")
def survey():
    model = earth(*SOLID, vmax=3.5)
    return model, *surveyed(model)


@pytest.mark.row("Media", "operators of every medium, as JSON and back", "exact")
@pytest.mark.parametrize("name", EARTHS)
def test_media_survive_json(name, near):
    F, q = surveyed(earth(*EARTHS[name]))
    text = json.dumps(spec.encode(F))
    again = spec.decode(json.loads(text))
    assert again.model.medium == F.model.medium and json.dumps(spec.encode(again)) == text
    near(again @ q, F @ q, 1e-14)


@pytest.mark.long
@pytest.mark.row("Media", "components and extended sources, as JSON and back", "exact")
def test_components_survive_json(survey, near):
    model, F, _ = survey
    strain = so.Strain([[3.0, 1.0], [0.2, 1.0]], gauge=15.0)
    operators = [surveyed(model, c)[0] for c in ("z", ("x", "z"), {"xx": 1.0, "zz": -1.0}, strain)]
    rec = F.factors[0].geometry
    operators.append(F.factors[0] @ F.factors[1] @ so.LRWF(model, rec, np.arange(rec.nt), component="z").H)
    texts = [json.dumps(spec.encode(op)) for op in (F, *operators)]
    assert len(set(texts)) == len(texts)
    for op, text in zip(operators, texts[1:], strict=True):
        again = spec.decode(json.loads(text))
        assert json.dumps(spec.encode(again)) == text
        x = np.random.default_rng(3).standard_normal(op.dims)
        near(again @ x, op @ x, 1e-14)


def test_every_keyword_is_written():
    """One that is not would come back as its default, without a word."""
    # Other names of the parameters, and another way to say how long a record is.
    others = {so.Model: {"m", "v", "parameters"}, so.Geometry: {"nt"}}
    for cls, parts in spec.PARTS.items():
        keywords = set(inspect.signature(cls).parameters) - others.get(cls, set())
        assert keywords == set(parts) - {"single", "**"}, cls
    assert set(MEDIA) <= set(spec.PARTS)


def test_an_equation_of_ones_own_cannot_be_saved():
    class Mine(so.physics.VariableDensity):
        pass

    assert issubclass(Mine, Medium)
    F, _ = surveyed(earth("v", "rho", physics=Mine()))
    with pytest.raises(TypeError, match="Mine is an equation of your own, and cannot be saved"):
        Layer(F).get_config()
    with pytest.raises(TypeError, match="Mine"):
        register(F)


@pytest.mark.row("Media", "one graph with several components and media", "exact")
def test_a_graph_tells_components_and_media_apart(survey, near):
    model, F, q = survey
    parts = {name: model.parameters[name] for name in SOLID}
    other = F.at(rho=1.3 * parts["rho"])
    Fz = surveyed(model, "z")[0]
    graph = tf.function(lambda x: [apply(op, x) for op in (F, Fz, other)])
    for y, op in zip(graph(tf.constant(q)), (F, Fz, other), strict=True):
        near(y, op @ q)


@pytest.mark.long
@pytest.mark.row("Media", "`check(layer)` of a solid", "rounding")
def test_conformance_of_a_solid(survey):
    errors = check(Layer(survey[1]), verbose=False)
    assert {"eager: forward mode in m", "tf.function: Hessian in m, reverse over reverse"} <= set(errors)
    assert max(e for name, e in errors.items() if not name.startswith("fit")) <= 1e-12, errors
    assert max(errors.values()) <= 1e-6, errors


@pytest.mark.row("Media", "`layer.jvp` along some parameters by name", "exact")
@pytest.mark.parametrize("names", [("vs",), ("vp", "rho"), ("lam", "mu", "rho")])
def test_forward_mode_by_name(survey, near, mode, names):
    model, F, q = survey
    rng = np.random.default_rng(5)
    p = {name: model.quantity(name) for name in names}
    dp = {name: 0.1 * x * rng.uniform(-1, 1, x.shape) for name, x in p.items()}
    layer, expected = (
        Layer(F),
        F.jacobian(q, wrt=names) @ np.stack(list(dp.values())).reshape(-1, *model.shape).squeeze(),
    )
    y, dy = mode(lambda p, dp: layer.jvp(tf.constant(q), None, p, dp))(p, dp)
    near(y, F @ q)
    near(dy, expected)
    with pytest.raises(ValueError, match=r"dvs is a direction of vs \(not given\)"):
        layer.jvp(tf.constant(q), None, {"vp": model.vp}, {"vs": model.vs})


def test_an_earth_is_trained(survey):
    model, F, q = survey
    layer, earth = Layer(F), EarthModel(model, ("vp", "vs"), bounds={"vs": (0.3, 1.02)})
    target = F.at(vp=1.03 * model.vp, vs=0.97 * model.vs) @ q
    optimizer, losses = keras.optimizers.Adam(2e-3), []
    for _ in range(12):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((layer(q, **earth()) - target) ** 2)
        optimizer.apply(tape.gradient(loss, earth.trainable_weights), earth.trainable_weights)
        losses.append(float(loss))
    print("RATIO", losses[-1] / losses[0])
    assert losses[-1] < 0.3 * losses[0]
    assert float(np.max(earth()["vs"])) <= 1.02


@pytest.mark.row("Media", "`EarthModel` of `so.parametrisation`, gradient", "that of `so.fwi`")
def test_an_earth_of_unknowns_has_the_gradient_of_the_objective(survey, near):
    model, F, q = survey
    fixed = np.zeros(model.shape, bool)
    fixed[:, :3] = True
    P = so.parametrisation(model, "vp", vs="sqrt(mu / rho)", rho="rho", bounds={"vp": (1.4, 2.6)}, fixed=fixed)
    d = F.at(vp=0.98 * model.vp) @ q
    value, gradient = so.fwi(F, q, d, wrt=P(P.start))
    once = EarthModel(P)
    for earth in (once, EarthModel.from_config(json.loads(json.dumps(once.get_config())))):
        with tf.GradientTape() as tape:
            loss = 0.5 * tf.reduce_sum((Layer(F)(q, **earth()) - d) ** 2)
        found = tape.gradient(loss, [earth.values[name].value for name in ("vp", "mu", "rho")])
        assert float(loss) == pytest.approx(value, rel=1e-12)
        for g, expected in zip(found, gradient, strict=True):
            near(g, expected)


@pytest.mark.row("Media", "`EarthModel` in Keras' serialisation harness", "passes")
def test_keras_conformance_of_an_earth(survey):
    class Conformance(TestCase):
        def run(self, *_):
            """Nothing by itself."""

    model = survey[0]
    P = so.parametrisation(model, vp="1 / s", bounds=(1 / 2.8, 1 / 1.4))
    for earth in (EarthModel(model, "vp", bounds={"vp": (1.4, 2.6)}), EarthModel(model, SOLID), EarthModel(P)):
        Conformance("run").run_class_serialization_test(earth)


def test_an_earth_in_a_functional_model_and_its_file(survey, near, tmp_path):
    model, F, q = survey
    x = keras.Input(F.dims, dtype="float64")
    net = keras.Model(x, Layer(F)(x, **EarthModel(model, ("vp", "rho"))(x)))
    assert [tuple(w.shape) for w in net.trainable_weights] == [model.shape] * 2
    net.trainable_weights[0].assign(0.99 * model.vp)
    near(net(q[None]), (F.at(vp=0.99 * model.vp) @ q)[None])
    net.save(tmp_path / "net.keras")
    near(keras.models.load_model(tmp_path / "net.keras")(q[None]), net(q[None]), 1e-14)


def test_an_earth_that_cannot_be_is_refused(survey):
    model = survey[0]
    with pytest.raises(TypeError, match=r"of a model and names of its parameters, or of so\.parametrisation"):
        EarthModel(so.parametrisation(model, "vp"), "vp")
    with pytest.raises(ValueError, match=r"Bounds of rho, which is not trained: vp are"):
        EarthModel(model, "vp", bounds={"rho": (1, 2)})
    with pytest.raises(ValueError, match=r"The bounds of vp exclude where it starts, 1\.5"):
        EarthModel(model, "vp", bounds={"vp": (2.0, 2.2)})
