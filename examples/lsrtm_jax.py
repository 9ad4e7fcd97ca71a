"""Least-squares migration in JAX: by a linear solver of Lineax, on the scene of `lsrtm.py`.

The Jacobian is a linear function as any other of JAX's: the solver transposes it, and runs as one compiled function.
"""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import lineax as lx
import matplotlib.pyplot as plt
import numpy as np
from seisops_jax import Layer

import seisops as so
from seisops.scene import arguments, draw_in_files, relative_error, save, scene


def main() -> None:
    draw_in_files()
    args = arguments(__doc__, shots=8, iterations=12)
    s = scene(args, smoothing=40.0)
    F, F0 = s.operators(s.v), s.operators(s.v0)
    q = so.ricker(s.src, s.f0)
    print(F0.model, s.src, s.rec, f"peak frequency {1000 * s.f0:.1f} Hz", sep="\n")

    d = jnp.asarray(F @ q - F0 @ q)
    dm = F.model.m - F0.model.m
    # The water is known: only what lies below it is sought.
    below = jnp.asarray(~s.water, d.dtype)
    layer = Layer(so.Jacobian(F0, q))

    def born(dm):
        return layer(below * dm)

    like = jax.ShapeDtypeStruct(dm.shape, d.dtype)
    (gradient,) = jax.linear_transpose(born, like)(d)
    predicted = born(gradient)
    rtm = gradient * jnp.vdot(predicted, d) / jnp.vdot(predicted, predicted)
    start = time.perf_counter()
    # As many steps as asked for: the data are not to be fitted to the last digit. Lineax compares cell by cell, and the
    # gradient is zero in the water.
    tolerance = 1e-6 * float(jnp.abs(gradient).max())
    solver = lx.Normal(lx.CG(rtol=1e-6, atol=tolerance, max_steps=args.iterations))
    solution = lx.linear_solve(lx.FunctionLinearOperator(born, like), d, solver, throw=False)
    image = jax.block_until_ready(solution.value)
    print(f"{solution.stats['num_steps']} steps of {args.iterations} in {time.perf_counter() - start:.0f} s")

    print("relative model error: 1.000 before")
    images = {"migration (transpose)": rtm, f"CG, {args.iterations} steps": image}
    for name, found in images.items():
        residual = jnp.linalg.norm(born(found) - d) / jnp.linalg.norm(d)
        print(f"  {name:24} {relative_error(found, dm):.3f}   relative residual {residual:.3f}")

    figure, axes = plt.subplots(2, 2, figsize=(12, 7.5), layout="constrained")
    ax = axes.ravel()
    bar = "dm (s²/km²)"
    so.plot.section(F0.model, s.v0, ax[0], title="background velocity", label="km/s", survey=(s.src,))
    so.plot.section(F0.model, dm, ax[1], title="true perturbation", label=bar, clip=99)
    for a, (name, found) in zip(ax[2:], images.items(), strict=True):
        so.plot.section(F0.model, np.asarray(found), a, title=name, label=bar, clip=99)
    save(figure, args, "lsrtm_jax.png")


if __name__ == "__main__":
    main()
