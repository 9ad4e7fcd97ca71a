"""Physics inside networks, in Keras: the three networks of `networks_torch.py`, trained with `fit`."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers
from seisops_keras import Layer, VelocityModel

import seisops as so
from seisops.scene import network_survey as operators


class Bias(layers.Layer):
    """x + b"""

    def build(self, shape) -> None:
        self.b = self.add_weight(shape=shape[1:], initializer="zeros")

    def call(self, x):
        return x + self.b


def around_jacobian(J) -> keras.Model:
    """W3 (J (W1 x + b1) + b2) + b3: the Jacobian between dense layers."""
    x = keras.Input((16,))
    dm = layers.Rescaling(0.01)(layers.Dense(int(np.prod(J.dims)))(x))
    d = layers.Flatten()(Layer(J)(layers.Reshape(J.dims)(dm)))
    return keras.Model(x, layers.Dense(8)(Bias()(d)), name="around_the_Jacobian")


def extended_source(E) -> keras.Model:
    """conv -> E -> E.H -> conv: model data from weights, and weights from data, between convolutions."""
    shape = E.model.shape
    x, m = keras.Input((1, *shape)), keras.Input(shape)
    first = layers.Conv2D(2, 3, padding="same", data_format="channels_last")
    last = layers.Conv2D(1, 3, padding="same", data_format="channels_last")
    # The two channels are the weights of the two shots; the operators take them in front.
    w = layers.Permute((3, 1, 2))(first(layers.Permute((2, 3, 1))(x)))
    d = Layer(E)(w, m=m)
    back = layers.Rescaling(1e-3)(Layer(E.H)(d, m=m))
    return keras.Model([x, m], last(layers.Permute((2, 3, 1))(back)), name="extended_source")


def main() -> None:
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    F, E, q, model = operators()

    network = around_jacobian(so.Jacobian(F, q))
    network.compile("adam", "mse")
    x, y = rng.standard_normal((8, 16)), rng.standard_normal((8, 8))
    history = network.fit(x, y, epochs=4, verbose=0).history["loss"]
    print(f"{network.name}: loss {history[0]:.3e} -> {history[-1]:.3e}")

    network = extended_source(E)
    network.compile("adam", "mse")
    x = rng.standard_normal((4, 1, *model.shape)).astype("float32")
    m = np.stack([model.m * f for f in (0.97, 0.99, 1.0, 1.02)])
    history = network.fit([x, m], np.moveaxis(x, 1, -1), batch_size=2, epochs=4, verbose=0).history["loss"]
    print(f"{network.name}: loss {history[0]:.3e} -> {history[-1]:.3e}")

    earth, forward = VelocityModel(model, bounds=(1.4, 2.8)), Layer(F)
    observed = F.at(m=0.95 * model.m) @ q

    class Inversion(keras.Model):
        """Modelling of a fixed source in a trainable earth."""

        def __init__(self) -> None:
            super().__init__()
            self.earth, self.forward_modeling = earth, forward

        def call(self, source):
            return self.forward_modeling(source, m=self.earth())

    inversion = Inversion()
    inversion.compile(keras.optimizers.Adam(0.01), "mse")
    history = inversion.fit(q[None].astype("float32"), observed[None], epochs=4, verbose=0).history["loss"]
    print(f"fixed source: loss {history[0]:.3e} -> {history[-1]:.3e}")


if __name__ == "__main__":
    main()
