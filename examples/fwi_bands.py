"""Full-waveform inversion with frequency continuation: from low to high, if wanted with total variation in between.

The generated earth by default. With a model of your own:
python examples/fwi_bands.py --model model.h5 --start m0 --shots 16 --receivers 200 --time 3000 --bands 3 5 8
"""

from __future__ import annotations

import time

import matplotlib.pyplot as plt
import numpy as np

import seisops as so
from seisops.scene import draw_in_files, minimised, parser, relative_error, save, scene


def smoother(v: np.ndarray, sigma: float, free: np.ndarray) -> np.ndarray:
    """The velocity nearest to `v` of little total variation; where it is not free it stays."""
    import pyproximal

    total_variation = pyproximal.TV(v.shape, sigma=sigma, niter=50)
    return np.where(free, total_variation.prox(v.ravel(), 1.0).reshape(v.shape), v)


def survey(s, receivers: int, duration: float) -> None:
    """Sources and receivers over the whole line, half a cell under the top of the model."""
    (nx, _), (dx, dz) = s.v.shape, s.spacing
    x = np.linspace(2.3 * dx, (nx - 3.3) * dx, receivers)
    s.src = so.Geometry(s.src.positions, dt=4.0, t=duration)
    s.rec = so.Geometry.spread(x, depth=1.6 * dz, nsrc=s.src.nsrc, dt=4.0, t=duration)


def main() -> None:
    draw_in_files()
    line = parser(__doc__, shots=12, iterations=10)
    line.add_argument("--start", help="dataset of the starting model in an HDF5 file; the smoothed model by default")
    line.add_argument("--receivers", type=int, default=160)
    line.add_argument("--time", type=float, default=2000.0, help="recording time, ms")
    line.add_argument("--bands", type=float, nargs="+", default=[3.0, 5.0, 8.0], help="peak frequencies, Hz")
    line.add_argument("--variation", type=float, default=0.0, help="weight of total variation, km/s; 0 is without")
    args = line.parse_args()
    s = scene(args, smoothing=250.0)
    if args.start:
        s.v0, _ = so.models.load(args.model, args.spacing, dataset=args.start)
    survey(s, args.receivers, args.time)
    F, F0 = s.operators(s.v), s.operators(s.v0)
    print(F0.model, s.src, s.rec, sep="\n")

    below = ~s.water

    def error(v):
        return relative_error(v[below], s.v[below])

    slowest, fastest = 1 / (0.95 * s.v.min()) ** 2, 1 / (1.1 * s.v.max()) ** 2
    m = F0.model.m.astype(float)
    lower, upper = (np.where(s.water, m, edge).ravel() for edge in (fastest, slowest))
    bounds = list(zip(lower, upper, strict=True))
    curves, stages, begun = {}, {"start": s.v0}, time.perf_counter()
    for band in args.bands:
        q = so.ricker(s.src, band / 1000)
        d = F @ q
        name = f"{band:g} Hz"
        m, curves[name] = minimised(lambda m, q=q, d=d: so.fwi(F0.at(m=m), q, d), m, bounds, args.iterations, name)
        if args.variation:
            m = smoother(1 / np.sqrt(m), args.variation, below) ** -2.0
        stages[f"after {band:g} Hz"] = 1 / np.sqrt(m)
        print(f"relative velocity error below the water: {error(1 / np.sqrt(m)):.4f} after {band:g} Hz")
    v = 1 / np.sqrt(m)
    print(f"{error(s.v0):.4f} before, {error(v):.4f} after, {time.perf_counter() - begun:.0f} s")

    figure, axes = plt.subplots(2, 3, figsize=(17, 7.5), layout="constrained")
    ax = axes.ravel()
    limits = (s.v.min(), s.v.max())
    so.plot.section(F.model, s.v, ax[0], title="true velocity", label="km/s", limits=limits, survey=(s.src,))
    pictures = [*stages.items()]
    for a, (name, picture) in zip(ax[1:5], [pictures[0], *pictures[-3:]], strict=False):
        so.plot.section(F.model, picture, a, title=name, label="km/s", limits=limits)
    so.plot.convergence(curves, ax[5], title="convergence", label="relative misfit")
    save(figure, args, "fwi_bands.png")


if __name__ == "__main__":
    main()
