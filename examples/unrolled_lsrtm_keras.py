"""The unrolled migration of `unrolled_lsrtm.py` in Keras: the same network, from the same weights.

A model is made for every record, as each has a J of its own; the blocks are shared by all.
"""

from __future__ import annotations

from pathlib import Path

import keras
import noisy_records
import numpy as np
from keras import layers, ops
from noisy_records import GAIN, NORM, SHAPE, SIZE, Record, compare
from seisops_keras import Layer

LAST = {"data_format": "channels_last"}
WEIGHTS = Path(noisy_records.__file__).with_name("unrolled_lsrtm.npz")


class Unrolled:
    """Gradient steps, each made by its own block, a U-net on three scales."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.step = file["step"].tolist()
            self.blocks = [[_convolution(file, k, i) for i in range(9)] for k in range(len(self.step))]
        depth = np.linspace(0, 2, SHAPE[1]).clip(0.05).astype("float32")
        self.depth = np.broadcast_to(depth, (1, *SHAPE))[..., None]

    def model(self, J: Layer, rock: np.ndarray) -> keras.Model:
        """The network around J, from records of axes (batch, ...) to images (batch, x, z) in s²/km²."""
        d, rock = keras.Input(J.op.dimsd), rock.astype("float32")[..., None]
        x = past = None
        for k, block in enumerate(self.blocks):
            residual = J(SIZE * x[..., 0]) - d if k else -d
            g = J.H(residual)[..., None] * self.depth * (GAIN / (NORM * SIZE))
            x, past = (x, past) if k else (0 * g, (0 * g, 0 * g))
            seen = ops.concatenate([x, g, *past, 0 * x + self.depth - 1], -1)
            x = (x - self.step[k] * g + unet(block, seen)) * rock
            past = (past[0] if k else g, g)
        return keras.Model(d, SIZE * x[..., 0])

    def image(self, r: Record) -> np.ndarray:
        """The image of one record, in s²/km²."""
        return self.model(Layer(r.J), r.rock).predict(r.d[None], verbose=0)[0]


def unet(convolutions: list[layers.Conv2D], x):
    """One block."""
    nexts = iter(convolutions)

    def bent(*x):
        return layers.LeakyReLU(0.1)(next(nexts)(ops.concatenate(x, -1)))

    down, up = layers.AveragePooling2D(2, **LAST), layers.UpSampling2D(2, **LAST)
    fine = bent(bent(x))
    middle = bent(bent(down(fine)))
    coarse = bent(bent(down(middle)))
    middle = bent(up(coarse), middle)
    fine = bent(up(middle), fine)
    return next(nexts)(fine)


def _convolution(file, k: int, i: int) -> layers.Conv2D:
    """A convolution with the weights of PyTorch's, whose axes are (output, input, x, z)."""
    w, b = (file[f"blocks.{k}.convs.{i}.{name}"] for name in ("weight", "bias"))
    layer = layers.Conv2D(len(b), 3, padding="same", **LAST)
    layer.build((None, None, None, w.shape[1]))
    layer.set_weights([w.transpose(2, 3, 1, 0), b])
    return layer


def main() -> None:
    compare(__doc__, WEIGHTS, "unrolled_lsrtm_keras.png", lambda path: Unrolled(path).image)


if __name__ == "__main__":
    main()
