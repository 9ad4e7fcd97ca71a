"""Full-waveform inversion with frequency continuation: low to high, every band on the coarsest grid that carries it.

The generated earth by default; if wanted with total variation after each band, and with shots on workers of Dask.
With a model of your own:
python examples/fwi_bands.py --model model.h5 --start m0 --shots 16 --receivers 200 --time 3000 --bands 3 5 8
    --per-band 110 44 26 --variation 0.06
The lowest band takes most iterations: they cost least, and what it leaves out at the edges no other one finds.
"""

from __future__ import annotations

import time
from contextlib import contextmanager

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter, zoom

import seisops as so
from seisops.scene import draw_in_files, minimised, parser, relative_error, save, scene

# Grid points in the shortest wavelength, that of 2.5 times the peak frequency.
POINTS = 3.6


def smoother(v: np.ndarray, sigma: float, free: np.ndarray) -> np.ndarray:
    """The velocity nearest to `v` of little total variation; where it is not free it stays."""
    import pyproximal

    total_variation = pyproximal.TV(v.shape, sigma=sigma, niter=50)
    return np.where(free, total_variation.prox(v.ravel(), 1.0).reshape(v.shape), v)


def resampled(x: np.ndarray, shape: tuple[int, ...], order: int = 3) -> np.ndarray:
    """Interpolate `x` on another grid from corner to corner, without what a coarser one does not carry."""
    ratio = np.array(x.shape) / shape
    smooth = gaussian_filter(x, np.where(ratio > 1, 0.35 * ratio, 0), mode="nearest")
    return zoom(smooth, 1 / ratio, order=order, mode="nearest")


def survey(s, receivers: int, duration: float) -> None:
    """Sources and receivers over the whole line, half a cell under the top of the model."""
    (nx, _), (dx, dz) = s.v.shape, s.spacing
    x = np.linspace(2.3 * dx, (nx - 3.3) * dx, receivers)
    s.src = so.Geometry(s.src.positions, dt=4.0, t=duration)
    s.rec = so.Geometry.spread(x, depth=1.6 * dz, nsrc=s.src.nsrc, dt=4.0, t=duration)


def inverted(s, m: np.ndarray, peak: float, iterations: int, edges: tuple[float, float]):
    """The squared slowness after some iterations on a band of the peak frequency (Hz), their misfits and the grid.

    What another grid alone changes of the data, it changes in the current model too, and is taken off there.
    """
    extent = (np.array(m.shape) - 1) * s.spacing
    cell = np.maximum(s.v.min() * 1000 / (2.5 * peak * POINTS), s.spacing)
    shape = tuple(int(n) + 1 for n in extent / cell + 1e-6)
    spacing = tuple(extent / (np.array(shape) - 1))
    start = resampled(m, shape, order=1)
    model = so.Model(v=1 / np.sqrt(start), spacing=spacing, vmax=1.15 * s.v.max())
    F, q = so.modeling(model, s.src, s.rec), so.ricker(s.src, peak / 1000)
    d = s.operators(s.v) @ q
    # A source of the same strength.
    strong = q * np.float32(np.prod(s.spacing) / np.prod(spacing))
    if shape != m.shape:
        d = d - s.operators(1 / np.sqrt(m)) @ q + F @ strong
    fixed = resampled(s.water.astype(float), shape, order=1) > 0.5
    lower, upper = np.minimum(edges[0], start), np.maximum(edges[1], start)
    bounds = [np.where(fixed, start, edge).ravel() for edge in (lower, upper)]
    found, curve = minimised(
        lambda m: so.fwi(F.at(m=m), strong, d), start, list(zip(*bounds, strict=True)), iterations, f"{peak:g} Hz"
    )
    m = np.where(s.water, m, np.clip(m + resampled(found - start, m.shape), *edges))
    return m, curve, model


@contextmanager
def cluster(workers: int):
    """Shots on so many processes of Dask; on threads of this one with none."""
    if not workers:
        yield
        return
    from dask.distributed import Client

    with Client(n_workers=workers, threads_per_worker=1) as client, so.config(executor=client.get_executor()):
        yield


def main() -> None:
    draw_in_files()
    line = parser(__doc__, shots=12, iterations=10)
    line.add_argument("--start", help="dataset of the starting model in an HDF5 file; the smoothed model by default")
    line.add_argument("--receivers", type=int, default=160)
    line.add_argument("--time", type=float, default=2000.0, help="recording time, ms")
    line.add_argument("--bands", type=float, nargs="+", default=[3.0, 5.0, 8.0], help="peak frequencies, Hz")
    line.add_argument("--per-band", type=int, nargs="+", help="iterations of every band; --iterations by default")
    line.add_argument("--variation", type=float, default=0.0, help="weight of total variation, km/s; 0 is without")
    line.add_argument("--workers", type=int, default=0, help="processes of Dask that share the shots")
    args = line.parse_args()
    iterations = args.per_band or [args.iterations] * len(args.bands)
    if len(iterations) != len(args.bands):
        line.error(f"--per-band has {len(iterations)} numbers for {len(args.bands)} bands.")
    s = scene(args, smoothing=250.0)
    if args.start:
        s.v0, _ = so.models.load(args.model, args.spacing, dataset=args.start)
    survey(s, args.receivers, args.time)
    F = s.operators(s.v)
    print(s.model(s.v0), s.src, s.rec, sep="\n")

    below = ~s.water

    def error(v):
        return relative_error(v[below], s.v[below])

    edges = 1 / (1.1 * s.v.max()) ** 2, 1 / (0.95 * s.v.min()) ** 2
    m = s.model(s.v0).m.astype(float)
    curves, stages, begun = {}, {"start": s.v0}, time.perf_counter()
    with cluster(args.workers):
        for band, number in zip(args.bands, iterations, strict=True):
            name = f"{band:g} Hz"
            m, curves[name], grid = inverted(s, m, band, number, edges)
            if args.variation:
                m = smoother(1 / np.sqrt(m), args.variation, below) ** -2.0
            stages[f"after {name}"] = 1 / np.sqrt(m)
            cells = f"{grid.shape[0]} x {grid.shape[1]}"
            print(f"relative velocity error below the water: {error(1 / np.sqrt(m)):.4f} after {name} on {cells}")
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
