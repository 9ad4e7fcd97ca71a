"""Elastic full-waveform inversion: both velocities of a solid from records of two components.

L-BFGS-B seeks both at once, as changes relative to where they start, so that neither of them is a number so much larger
than the other that only one moves. Two frequency bands, the lower first.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

import seisops as so
from seisops.scene import parser, relative_error, save

WRT = ("vp", "vs")


@dataclass
class Solid:
    """True and starting velocities (km/s), the density (g/cm³) and the survey; f0 is what the grid carries well."""

    true: dict[str, np.ndarray]
    start: dict[str, np.ndarray]
    rho: np.ndarray
    spacing: float
    src: so.Geometry
    rec: so.Geometry
    f0: float

    def operators(self, vp: np.ndarray, vs: np.ndarray) -> so.algebra.Chain:
        """Model the particle velocities x and z of every shot, forces along z."""
        vmax = 1.2 * self.true["vp"].max()
        model = so.Model(vp=vp, vs=vs, rho=self.rho, spacing=self.spacing, vmax=vmax)
        Ps = so.Projection(model, self.src, component="z")
        return so.Projection(model, self.rec, component=("x", "z")) @ so.Modeling(model, self.rec) @ Ps.H


def solid(args: argparse.Namespace, smoothing: float, spacing: float = 20.0) -> Solid:
    """Generate a faulted land section of which vp/vs is another in every layer, and lay a line over it."""
    nx, nz = args.cells
    vp = so.models.faulted((nx, nz), spacing, water=0.0)
    # Of another seed: layers that the P waves do not see.
    other = so.models.faulted((nx, nz), spacing, water=0.0, seed=2)
    vs = vp / (2.0 + 0.35 * np.tanh(2 * (other / so.models.smooth(other, 8) - 1) / 0.1))
    vp, vs = (so.models.smooth(x, 1.0) for x in (vp, vs))
    true = {"vp": vp, "vs": vs}
    start = {name: so.models.smooth(x, smoothing / spacing) for name, x in true.items()}
    rho = 0.31 * (1000 * start["vp"]) ** 0.25
    length, depth = (nx - 1) * spacing, (nz - 1) * spacing
    # Four grid points in the shortest shear wave, at 2.5 times the peak frequency.
    f0 = round(float(vs.min() / (4 * 2.5 * spacing)), 4)
    t = 2 * depth / vs.mean() + 0.35 * length / vs.mean() + 1.5 / f0
    x = np.linspace(2.3 * spacing, length - 2.3 * spacing, args.shots)
    dt = 4.0
    src = so.Geometry.line(x, depth=1.4 * spacing, dt=dt, t=t)
    rec = so.Geometry.spread(np.linspace(spacing, length - spacing, nx // 2), depth=1.6 * spacing, nsrc=args.shots,
                             dt=dt, t=t)  # fmt: skip
    return Solid(true, start, rho, spacing, src, rec, f0)


def invert(F, q, d, start, x, bounds, iterations: int, name: str) -> tuple[np.ndarray, list[float]]:
    """L-BFGS-B in the velocities over those at the `start`; where it ends, and the misfit over the first."""
    values: list[float] = []
    first: list[float] = []

    def objective(x):
        p = x.reshape(start.shape) * start
        value, gradient = so.fwi(F.at(**dict(zip(WRT, p, strict=True))), q, d, wrt=WRT)
        first.append(value)
        return value / first[0], (gradient * start).ravel() / first[0]

    bar = tqdm(total=iterations, desc=name, bar_format="{desc} {bar:30} {n_fmt}/{total_fmt} [{elapsed}] {postfix}")

    def show(intermediate_result):
        values.append(float(intermediate_result.fun))
        bar.set_postfix_str(f"misfit {values[-1]:.4f}")
        bar.update()

    options = {"maxiter": iterations, "maxcor": 10, "ftol": 0, "gtol": 0}
    with bar:
        result = minimize(objective, x.ravel(), jac=True, method="L-BFGS-B", bounds=bounds, callback=show,
                          options=options)  # fmt: skip
    return result.x.reshape(start.shape), [1.0, *values]


def main() -> None:
    plt.switch_backend("Agg")  # a picture in a file needs no display
    reading = parser(__doc__, shots=8, iterations=20)
    reading.set_defaults(cells=(101, 51))
    args = reading.parse_args()
    s = solid(args, smoothing=120.0)
    F, F0 = s.operators(**s.true), s.operators(**s.start)
    print(F0.model, s.src, s.rec, sep="\n")

    start = np.stack([s.start[name] for name in WRT])
    # vp no faster than the time step is made for, and vs below 0.866 vp, where no solid is.
    vp, vs = start
    lower = [np.full(vp.shape, 0.8), np.full(vp.shape, 0.7)]
    upper = [np.minimum(1.3, 1.15 * s.true["vp"].max() / vp), np.minimum(1.3, 0.85 * 0.8 * vp / vs)]
    bounds = list(zip(np.ravel(lower), np.ravel(upper), strict=True))
    x, curves = np.ones(start.shape), {}
    for f0 in (0.55 * s.f0, s.f0):
        q = so.ricker(s.src, f0)
        d = F @ q
        name = f"{1000 * f0:.1f} Hz"
        x, curves[name] = invert(F0, q, d, start, x, bounds, args.iterations, name)
    result = dict(zip(WRT, x * start, strict=True))
    for name in WRT:
        before, after = (relative_error(p[name], s.true[name]) for p in (s.start, result))
        print(f"relative error of {name}: {before:.4f} before, {after:.4f} after ({100 * (after / before - 1):+.0f} %)")

    figure, axes = plt.subplots(3, 3, figsize=(17, 11), layout="constrained")
    for row, name in zip(axes, WRT, strict=False):
        limits = (s.true[name].min(), s.true[name].max())
        for a, (title, p) in zip(row, {"true": s.true, "start": s.start, "result": result}.items(), strict=True):
            survey = (s.src,) if title == "true" else ()
            so.plot.section(F.model, p[name], a, title=f"{name}, {title}", label="km/s", limits=limits, survey=survey)
    middle, left = s.src.nsrc // 2, d - F0.at(**result) @ q
    so.plot.shot(s.rec, d[:, 1], axes[2, 0], i=middle, title=f"vertical velocity, {list(curves)[-1]} band")
    so.plot.shot(s.rec, left[:, 1], axes[2, 1], i=middle, title="what the result leaves", like=d[:, 1])
    so.plot.convergence(curves, axes[2, 2], title="convergence", label="relative misfit")
    save(figure, args, "elastic_fwi.png")


if __name__ == "__main__":
    main()
