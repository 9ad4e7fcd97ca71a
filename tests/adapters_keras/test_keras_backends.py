"""Keras on its other backends, each in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import seisops_keras
from seisops_keras import spec

# Before the gradients, and after them: what is the same on every backend.
BEGINNING = """
import sys, json, numpy as np, keras
BACKEND
keras.config.set_floatx("float64")
import seisops as so
from seisops_keras import EarthModel, Layer, VelocityModel, check, spec
folder = sys.argv[1]
z = np.load(folder + "/data.npz")
op, model = (spec.decode(json.load(open(f"{folder}/{name}.json"))) for name in ("op", "model"))
layer, earth = Layer(op), VelocityModel(model)
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.earth, self.data = earth, layer
    def call(self, x):
        return self.data(x, m=self.earth())
net = Net()
"""
END = """
net.compile(optimizer=keras.optimizers.SGD(1e-3), loss="mse")
losses = net.fit(z["q"][None], 1.1 * z["y"][None], epochs=2, verbose=0).history["loss"]
assert "seisops_keras.tensorflow" not in sys.modules and losses[1] < losses[0]
errors = check(layer, verbose=False)
assert {"Hessian in m, reverse over reverse", ".keras file", "fit, jit_compile=True"} <= set(errors)
assert max(e for name, e in errors.items() if not name.startswith("fit")) <= 1e-12, errors
assert max(errors.values()) <= 1e-6, errors
P = so.parametrisation(model, v="1 / s", bounds=(1 / 3.4, 1 / 1.4))
again = keras.ops.convert_to_numpy(layer(z["q"], **EarthModel(P)()))
pairs = ((y, "y"), (again, "y"), (gq, "gq"), (gv, "gv"), (tangent / 2, "y"))
print(json.dumps([float(np.abs(np.asarray(a) - z[k]).max() / np.abs(z[k]).max()) for a, k in pairs]))
"""
BACKENDS = {
    "torch": (
        "import torch",
        """
q = torch.tensor(z["q"], requires_grad=True)
y = net(q)
(torch.tensor(z["w"]) * y).sum().backward()
y, gq, gv = y.detach(), q.grad, earth.v.value.grad
tangent = layer.jvp(q.detach(), 2 * q.detach())[1]
""",
    ),
    "jax": (
        "import jax; jax.config.update('jax_enable_x64', True)",
        """
q = jax.numpy.asarray(z["q"])
y = net(q)
def loss(weights, q):
    return (z["w"] * net.stateless_call(weights, [], q)[0]).sum()
(gv,), gq = jax.jit(jax.grad(loss, (0, 1)))([v.value for v in net.trainable_variables], q)
tangent = layer.jvp(q, 2 * q)[1]
""",
    ),
}


@pytest.mark.long
@pytest.mark.row(
    "Files and processes",
    "Keras' backends torch and jax: value, gradients, `check`, `fit`",
    "exact",
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_keras_on_other_backends(double, tmp_path, backend):
    F = double.F
    gv = -2 * double.model.v**-3 * (F.jacobian(double.q).H @ double.w)
    np.savez(tmp_path / "data.npz", q=double.q, w=double.w, y=F @ double.q, gq=F.H @ double.w, gv=gv)
    (tmp_path / "op.json").write_text(json.dumps(spec.encode(F)))
    (tmp_path / "model.json").write_text(json.dumps(spec.encode(double.model)))
    own, gradients = BACKENDS[backend]
    code = BEGINNING.replace("BACKEND", own) + gradients + END
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)]
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert max(json.loads(done.stdout)) < 1e-12


@pytest.mark.row("Other backends", "Keras' other backends", "raises")
def test_further_backends_are_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "openvino")
    place = importlib.util.spec_from_file_location("refused", seisops_keras.layer.__file__)
    with pytest.raises(ImportError, match="tensorflow, torch and jax, not openvino"):
        place.loader.exec_module(importlib.util.module_from_spec(place))
