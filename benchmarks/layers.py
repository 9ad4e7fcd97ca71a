"""What a layer adds to its operator: whole calls, turn by turn.

python benchmarks/layers.py [--repeat 30]

The first row is what every framework takes for a call that does nothing: a layer or module of its own, at once or in a
graph around NumPy. Of the large diagonal operator the last columns say how many copies of its array the difference
would pay for.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import jax
import keras
import numpy as np
import pylops
import seisops_jax
import seisops_keras
import seisops_torch
import tensorflow as tf
import torch

import seisops as so

LARGE = 1 << 23
WAYS = ("torch", "Keras, eager", "tf.function", "JAX", "jax.jit")


def operators() -> dict[str, pylops.LinearOperator]:
    """Cheap ones, where what is added shows, and one whose array is large."""
    rng = np.random.default_rng(0)
    model = so.Model(v=np.full((21, 17), 2.0), spacing=10.0)
    rec = so.Geometry([[[55.0, 32.0], [103.0, 58.0]]], dt=2.0, t=60.0)
    Pr = so.Projection(model, rec)
    return {
        "MatrixMult 64 x 64": pylops.MatrixMult(rng.standard_normal((64, 64)).astype("float32"), dtype="float32"),
        "Projection, adjoint": Pr.H,
        "Pr A Pr.H, 21 x 17": Pr @ so.Modeling(model, rec) @ Pr.H,
        "Diagonal, 32 MiB": pylops.Diagonal(np.ones(LARGE, "float32"), dtype="float32"),
    }


def calls(op: pylops.LinearOperator) -> dict[str, Callable[[], object]]:
    """The same product bare and through every kind of layer."""
    # Smooth, as a source is that the grid carries.
    x = np.broadcast_to(np.hanning(op.dims[-1]), op.dims).astype("float32")
    t, k, j = torch.from_numpy(x), tf.constant(x), jax.numpy.asarray(x)
    torch_layer, keras_layer = seisops_torch.Layer(op), seisops_keras.Layer(op)
    jax_layer = seisops_jax.Layer(op)
    graph, compiled = tf.function(keras_layer), jax.jit(jax_layer)
    bare = so.compose(op)
    return {
        "bare": lambda: bare @ x if x.ndim > 1 else bare.matvec(x),
        "torch": lambda: torch_layer(t),
        "Keras, eager": lambda: keras_layer(k),
        "tf.function": lambda: graph(k),
        "JAX": lambda: jax.block_until_ready(jax_layer(j)),
        "jax.jit": lambda: jax.block_until_ready(compiled(j)),
    }


class Same(keras.layers.Layer):
    """A layer that does nothing."""

    def call(self, x):
        return x


def nothing() -> dict[str, Callable[[], object]]:
    """What the frameworks take by themselves."""
    x = np.ones(64, "float32")
    t, k, j = torch.from_numpy(x), tf.constant(x), jax.numpy.asarray(x)
    module, layer = torch.nn.Identity(), Same()
    like = jax.ShapeDtypeStruct(x.shape, x.dtype)
    graph = tf.function(lambda a: tf.numpy_function(lambda b: b, [a], tf.float32, stateful=False))
    compiled = jax.jit(lambda a: jax.pure_callback(lambda b: x, like, a))
    return {
        "bare": lambda: None,
        "torch": lambda: module(t),
        "Keras, eager": lambda: layer(k),
        "tf.function": lambda: graph(k),
        "JAX": lambda: jax.block_until_ready(jax.device_put(np.asarray(j))),
        "jax.jit": lambda: jax.block_until_ready(compiled(j)),
    }


def seconds(functions: dict[str, Callable[[], object]], repeat: int, n: int) -> dict[str, float]:
    """Seconds a call, `n` calls at a time, the median of turns: a busy moment of the machine meets all."""
    for f in functions.values():
        f(), f()
    times = {name: [] for name in functions}
    for _ in range(repeat):
        for name, f in functions.items():
            start = time.perf_counter()
            for _ in range(n):
                f()
            times[name].append((time.perf_counter() - start) / n)
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=30)
    args = parser.parse_args()
    print(f"torch {torch.__version__}, TensorFlow {tf.__version__}, Keras {keras.__version__}, JAX {jax.__version__}")
    print(f"{'ms a call':22} {'bare':>9}" + "".join(f" {way:>14}" for way in WAYS) + "    (more than bare)")
    products = {"nothing": nothing()} | {name: calls(op) for name, op in operators().items()}
    for name, functions in products.items():
        large = "MiB" in name
        functions |= {"copy": np.ones(LARGE, "float32").copy} if large else {}
        found = seconds(functions, args.repeat, 1 if large else 20)
        more = {way: found[way] - found["bare"] for way in WAYS}
        print(f"{name:22} {1e3 * found['bare']:9.3f}" + "".join(f" {1e3 * x:+14.3f}" for x in more.values()))
        if large:
            print(f"{'  in copies':22} {'':9}" + "".join(f" {x / found['copy']:+14.2f}" for x in more.values()))


if __name__ == "__main__":
    main()
