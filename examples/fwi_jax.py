"""Full-waveform inversion in JAX: by an optimiser of Optax, on the scene of `fwi.py`.

The velocity is an ordinary array, the water is held by its bounds, and the step is one compiled function.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from seisops_jax import Layer
from tqdm import trange

import seisops as so
from seisops.scene import arguments, draw_in_files, relative_error, save, scene


def main() -> None:
    draw_in_files()
    args = arguments(__doc__, shots=12, iterations=15)
    s = scene(args, smoothing=130.0)
    F, F0 = s.operators(s.v), s.operators(s.v0)
    print(F0.model, s.src, s.rec, sep="\n")
    slowest = np.where(s.water, s.v0, 0.95 * s.v.min()).astype("float32")
    fastest = np.where(s.water, s.v0, 1.1 * s.v.max()).astype("float32")

    # Shorter and shorter steps, so that the last ones settle.
    layer, optimiser = Layer(F0), optax.adam(optax.cosine_decay_schedule(1.0, args.iterations, alpha=0.1))

    def misfit(v, q, d):
        return 0.5 * jnp.sum((layer(q, v=v) - d) ** 2)

    @jax.jit
    def step(v, state, rate, q, d):
        value, gradient = jax.value_and_grad(misfit)(v, q, d)
        update, state = optimiser.update(gradient, state)
        v = optax.projections.projection_box(optax.apply_updates(v, rate * update), slowest, fastest)
        return v, state, value

    v, curves = jnp.asarray(s.v0, "float32"), {}
    for f0, rate in ((0.45 * s.f0, 0.03), (0.8 * s.f0, 0.01)):
        q = jnp.asarray(so.ricker(s.src, f0), "float32")
        d, state = Layer(F)(q), optimiser.init(v)
        misfits = curves[f"{1000 * f0:.1f} Hz"] = []
        for _ in trange(args.iterations, desc=f"{1000 * f0:.1f} Hz"):
            v, state, value = step(v, state, rate, q, d)
            misfits.append(float(value))
    v = np.asarray(v)
    print(f"relative velocity error: {relative_error(s.v0, s.v):.4f} before, {relative_error(v, s.v):.4f} after")

    figure, axes = plt.subplots(2, 2, figsize=(12, 7.5), layout="constrained")
    ax = axes.ravel()
    for a, (name, picture) in zip(ax, {"true velocity": s.v, "start": s.v0, "result": v}.items(), strict=False):
        so.plot.section(F.model, picture, a, title=name, label="km/s", limits=(s.v.min(), s.v.max()))
    relative = {name: np.array(misfits) / misfits[0] for name, misfits in curves.items()}
    so.plot.convergence(relative, ax[3], title="convergence", label="relative misfit")
    save(figure, args, "fwi_jax.png")


if __name__ == "__main__":
    main()
