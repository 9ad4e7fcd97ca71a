"""The unrolled migration of `unrolled_lsrtm.py` in JAX: the same network, from the same weights, as a pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import noisy_records
import numpy as np
from noisy_records import GAIN, NORM, SHAPE, SIZE, Record, compare
from seisops_jax import Layer

WEIGHTS = Path(noisy_records.__file__).with_name("unrolled_lsrtm.npz")
DEPTH = np.broadcast_to(np.linspace(0, 2, SHAPE[1], dtype="float32").clip(0.05), (1, 1, *SHAPE))


def unrolled(weights: Mapping[str, jax.Array], J: Layer, d: jax.Array, rock: jax.Array) -> jax.Array:
    """Image records of axes (batch, ...) by gradient steps, each made by its own block; (batch, x, z), in s²/km²."""
    x = past = None
    for k, step in enumerate(weights["step"]):
        residual = J(SIZE * x[:, 0]) - d if k else -d
        g = J.H(residual)[:, None] * DEPTH * (GAIN / (NORM * SIZE))
        x, past = (x, past) if k else (0 * g, (0 * g, 0 * g))
        seen = jnp.concatenate([x, g, *past, 0 * x + DEPTH - 1], 1)
        x = rock * (x - step * g + unet(weights, f"blocks.{k}.convs", seen))
        past = (past[0] if k else g, g)
    return SIZE * x[:, 0]


def unet(weights: Mapping[str, jax.Array], name: str, x: jax.Array) -> jax.Array:
    """One block, on three scales."""
    numbers = iter(range(9))

    def convolved(x):
        i = next(numbers)
        y = jax.lax.conv(x, weights[f"{name}.{i}.weight"], (1, 1), "SAME", "highest")
        return y + weights[f"{name}.{i}.bias"][:, None, None]

    def bent(*x):
        return jax.nn.leaky_relu(convolved(jnp.concatenate(x, 1)), 0.1)

    def down(x):
        batch, channels, nx, nz = x.shape
        return x.reshape(batch, channels, nx // 2, 2, nz // 2, 2).mean((3, 5))

    def up(x):
        return x.repeat(2, 2).repeat(2, 3)

    fine = bent(bent(x))
    middle = bent(bent(down(fine)))
    coarse = bent(bent(down(middle)))
    middle = bent(up(coarse), middle)
    fine = bent(up(middle), fine)
    return convolved(fine)


def image(weights: Mapping[str, jax.Array], r: Record) -> np.ndarray:
    """The image of one record, in s²/km²."""
    return np.asarray(unrolled(weights, Layer(r.J), jnp.asarray(r.d)[None], jnp.asarray(r.rock, r.d.dtype))[0])


def load(path: Path) -> Callable[[Record], np.ndarray]:
    """What images a record by the weights of a file."""
    with np.load(path) as file:
        return partial(image, {name: jnp.asarray(file[name]) for name in file.files})


def main() -> None:
    compare(__doc__, WEIGHTS, "unrolled_lsrtm_jax.png", load)


if __name__ == "__main__":
    main()
