"""Operators as JSON, models in files, and both in another process."""

import copy
import json
import os
import pickle
import subprocess
import sys

import keras
import numpy as np
import pylops
import pytest
import tensorflow as tf
from seisops_keras import Layer, VelocityModel, apply, nodes, shim, spec
from seisops_keras.tensorflow import register

import seisops as so


def elsewhere(code: str, *arguments, **environment: str) -> str:
    """What `code` prints in a new process."""
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def operators(s):
    F = s.F
    model, geometry = s.model, F.factors[1].geometry
    ragged = so.Geometry([[[10, 20]], [[30, 40], [50, 60]]], dt=2.0, t=60.0)
    U = so.Modeling(model, geometry)
    late = so.Geometry(geometry.positions, dt=geometry.dt, t=geometry.t - 20.0, t0=20.0)
    return {
        "late": so.modeling(model, F.factors[-1].op.geometry, late),
        "product": F,
        "adjoint": s.E.H,
        "bare adjoint": F.factors[0].H,
        "sum": 2 * F - F.at(m=s.m + s.dm),
        "one shot": F[0],
        "some shots": F[[1]],
        "jacobian": F.jacobian(s.q),
        "second derivative": F.jacobian(s.q).jacobian(s.dm),
        "migration": F.H.jacobian(s.w),
        "by checkpoints": so.Scattering(model, geometry, U @ F.factors[-1], s.q, storage=so.storage.Checkpointed(2)),
        "frequencies": so.Scattering(model, geometry, U @ F.factors[-1], s.q, storage=so.storage.Frequencies([0.01])),
        "inverse scattering": so.imaging.inverse_scattering(F.jacobian(s.q)),
        "complement": so.imaging.complement(F.jacobian(s.q)),
        "offsets": so.imaging.subsurface_offsets(F.jacobian(s.q), 1),
        "offsets, differentiated": so.imaging.subsurface_offsets(F.jacobian(s.q), 1).H.jacobian(s.w),
        "ragged": so.Projection(model, ragged, interpolation="linear"),
        "propagation": so.Propagation(F.factors[0], U, None, adjoint=True),
        "stack": so.compose(pylops.BlockDiag([F, s.E])),
    }


@pytest.mark.parametrize(
    "name",
    [
        "product", "late", "adjoint", "bare adjoint", "sum", "one shot", "some shots", "jacobian", "second derivative",
        "migration", "ragged", "propagation", "by checkpoints", "frequencies", "inverse scattering", "complement",
        "offsets", "offsets, differentiated", "stack",
    ],
)  # fmt: skip
def test_operators_survive_json(double, near, name):
    op = operators(double)[name]
    text = json.dumps(spec.encode(op))
    again = spec.decode(json.loads(text))
    assert repr(again) == repr(op)
    assert json.dumps(spec.encode(again)) == text
    x = np.random.default_rng(3).standard_normal(op.dims)
    near(again @ x, op @ x, 1e-13)


def test_operators_that_differ_in_storage_alone(double, near):
    with so.config(storage=so.storage.Frequencies([0.01])):
        rough = double.F.jacobian(double.q)
    exact = double.F.jacobian(double.q)
    for op in (rough, exact):
        traced = tf.function(lambda d, op=op: apply(op.H, d))
        near(traced(tf.constant(double.w)), (op.H @ double.w).reshape(op.dims))
        near(spec.decode(spec.encode(op)).H @ double.w, op.H @ double.w)


def test_settings_of_graphs(double):
    # TensorFlow runs what is in a graph on other threads.
    m = tf.constant(double.m)

    def gradient(m):
        with tf.GradientTape() as tape:
            tape.watch(m)
            value = tf.reduce_sum(apply(double.F, tf.constant(double.q), m) ** 2)
        return tape.gradient(value, m)

    exact = gradient(m)
    with so.config(storage=so.storage.Frequencies([0.01])):
        rough, graph = gradient(m), tf.function(gradient)(m)
    assert np.abs(rough - exact).max() > 1e-3 * np.abs(exact).max()
    assert np.abs(rough - graph).max() < 1e-10 * np.abs(exact).max()


def test_a_graph_of_a_storage_is_refused_in_another_process(double, monkeypatch, tmp_path):
    module = tf.Module()
    module.f = tf.function(lambda q: apply(double.F, q), input_signature=[tf.TensorSpec(double.q.shape, tf.float64)])
    with so.config(storage=so.storage.Frequencies([0.01])):
        tf.saved_model.save(module, tmp_path)
    again = tf.saved_model.load(tmp_path)
    assert np.array_equal(again.f(tf.constant(double.q)), double.F @ double.q)
    monkeypatch.setattr(nodes, "_settings", {})
    with pytest.raises(Exception, match="trace and save it in the default settings"):
        again.f(tf.constant(double.q))


def test_every_parameter_of_a_model_survives():
    model = so.Model(v=np.full((20, 21), 2.0), spacing=(10, 12), origin=(5, -3), absorb=4, free_surface=True,
                     space_order=4, dt=0.7, vmax=3.0, correct_dispersion=False, dtype="float64")  # fmt: skip
    again = spec.decode(json.loads(json.dumps(spec.encode(model))))
    assert again.grid_key == model.grid_key and np.array_equal(again.m, model.m)


def test_a_shared_model_is_written_once(double):
    parts = [part["class"] for part in spec.encode(double.F)["parts"]]
    assert parts.count("Model") == 1


@pytest.mark.row("Files and processes", "saving an operator of PyLops", "raises")
def test_foreign_operators_say_that_they_cannot_be_saved(double):
    op = pylops.Identity(double.F.shape[0]) @ double.F
    for foreign in (op, pylops.Identity(4)):
        with pytest.raises(TypeError, match="cannot be saved"):
            Layer(foreign).get_config()
        with pytest.raises(TypeError, match="cannot be saved"):
            register(foreign)


@pytest.mark.parametrize("bad", [{}, {"seisops": 0, "parts": []}, {"seisops": 2, "parts": [{"class": "eval"}]}])
def test_what_was_not_written_here_is_refused(bad):
    with pytest.raises(ValueError, match="operator"):
        spec.decode(bad)


@pytest.mark.row("Files and processes", "pickle, deepcopy", "work")
def test_copies(double, near):
    layer = Layer(double.F)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        near(again(double.q), double.F @ double.q)


LOAD = """
import sys, numpy as np, keras, seisops_keras
folder = sys.argv[1]
net = keras.models.load_model(folder + "/net.keras")
z = np.load(folder + "/data.npz")
print(float(np.abs(net(z["x"]) - z["y"]).max()))
"""


@pytest.mark.row("Files and processes", "`.keras` file, in a new process", "exact")
def test_keras_file_in_a_new_process(double, tmp_path):
    q = keras.Input(double.F.dims, dtype="float64")
    net = keras.Model(q, Layer(double.F, name="data")(q, m=VelocityModel(double.model, bounds=(1.4, 3.0))(q)))
    net.layers[1].v.assign(double.model.v * 0.99)
    x = np.stack([double.q, 2 * double.q])
    np.savez(tmp_path / "data.npz", x=x, y=net(x))
    net.save(tmp_path / "net.keras")
    assert float(elsewhere(LOAD, tmp_path)) == 0.0


SERVE = """
import sys, json, numpy as np, tensorflow as tf
from seisops_keras import spec
from seisops_keras.tensorflow import register
folder = sys.argv[1]
z = np.load(folder + "/data.npz")
x, m, w = (tf.constant(z[k]) for k in "xmw")
net, f = tf.saved_model.load(folder + "/net"), tf.saved_model.load(folder + "/function").f
try:
    net.serve(x)
except tf.errors.OpError as error:
    assert "register(op)" in str(error), error
else:
    raise AssertionError("served without its operator")
register(spec.decode(json.load(open(folder + "/op.json"))))
with tf.GradientTape() as tape:
    tape.watch([x, m])
    loss = tf.reduce_sum(w * f(x, m))
gx, gm = tape.gradient(loss, [x, m])
print(json.dumps([float(np.abs(a - z[k]).max()) for a, k in ((net.serve(x), "y"), (gx, "gx"), (gm, "gm"))]))
"""


@pytest.mark.row(
    "Files and processes", "SavedModel with gradients, in a new process", "exact, once the operator is registered"
)
def test_saved_model_with_gradients_in_a_new_process(double, tmp_path):
    F, layer = double.F, Layer(double.F)
    q = keras.Input(F.dims, dtype="float64")
    keras.Model(q, layer(q)).export(tmp_path / "net", verbose=False)

    class Function(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec((None, *F.dims), tf.float64),
                tf.TensorSpec(double.model.shape, tf.float64),
            ]
        )
        def f(self, x, m):
            return layer(x, m=m)

    tf.saved_model.save(Function(), str(tmp_path / "function"))
    (tmp_path / "op.json").write_text(json.dumps(spec.encode(F)))
    x = np.stack([double.q, 2 * double.q])
    results = {"y": np.stack([F @ a for a in x]), "gx": np.stack([F.H @ double.w] * 2),
               "gm": 3 * (F.jacobian(double.q).H @ double.w)}  # fmt: skip
    np.savez(tmp_path / "data.npz", x=x, m=double.m, w=double.w, **results)
    errors = json.loads(elsewhere(SERVE, tmp_path))
    assert max(e / np.abs(r).max() for e, r in zip(errors, results.values(), strict=True)) < 1e-12


def test_without_tensorflows_private_names_all_else_works(double, near, monkeypatch):
    for name in ("_py_funcs", "PossibleTapeGradientTypes", "pack_tangents"):
        assert getattr(shim, name) is not None
        monkeypatch.setattr(shim, name, None)

    def run(m):
        with tf.GradientTape() as tape:
            tape.watch(m)
            loss = tf.reduce_sum(double.w * apply(double.F, double.q, m))
        return tape.gradient(loss, m)

    for f in (run, tf.function(run)):
        near(f(tf.constant(double.m)), double.F.jacobian(double.q).H @ double.w)


MIRRORED = """
import sys, json, numpy as np, tensorflow as tf
(cpu,), half = tf.config.list_physical_devices("CPU"), tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [half, half])
import keras
from seisops_keras import Layer, VelocityModel, spec
folder = sys.argv[1]
z = np.load(folder + "/data.npz")
op, model = (spec.decode(json.load(open(f"{folder}/{name}.json"))) for name in ("op", "model"))
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.earth, self.data = VelocityModel(model), Layer(op)
    def call(self, x):
        return self.data(x, m=self.earth())
def train():
    net = Net()
    net.compile(optimizer=keras.optimizers.SGD(1e-3), loss="mse")
    net.fit(z["x"], z["y"], batch_size=2, epochs=2, shuffle=False, verbose=0)
    return np.asarray(net.earth.v)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    mirrored = train()
alone = train()
print(float(np.abs(mirrored - alone).max() / np.abs(alone - model.v).max()))
"""


@pytest.mark.long
@pytest.mark.row("Files and processes", "MirroredStrategy, two replicas, `fit`", "the steps of one replica")
def test_mirrored_strategy(double, tmp_path):
    x = np.stack([double.q, 2 * double.q])
    np.savez(tmp_path / "data.npz", x=x, y=np.stack([1.1 * (double.F @ a) for a in x]))
    for name, thing in (("op", double.F), ("model", double.model)):
        (tmp_path / f"{name}.json").write_text(json.dumps(spec.encode(thing)))
    # `fit` hands over its data in float32, and the replicas' losses are added in it.
    assert float(elsewhere(MIRRORED, tmp_path).split()[-1]) <= 1e-4
