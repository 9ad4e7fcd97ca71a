"""One shot's gradient in a model of the size and the contrasts of SEG/EAGE's Overthrust, within a laptop's memory.

python benchmarks/overthrust3d.py [--cells 401 401 187] [--t 3000] [--memory 8] [--output pictures]

401 x 401 x 187 cells of 25 m, generated: folded layers of 2.2 to 6 km/s under a weathered top, two thrusts that push
the right over the left, and a buried channel. A source in the middle, receivers all over the surface. The background of
the gradient would take hundreds of GiB; it is marched again from checkpoints. Printed are times, in marches too, and
the peak of the memory; the picture shows the true model, the smooth one and the gradient.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

import seisops as so
from seisops.scene import draw_in_files

SPACING = 25.0
# kHz; what it reaches has three and a half cells in its shortest wave.
PEAK = 0.010


def overthrust(shape: tuple[int, int, int]) -> np.ndarray:
    """Velocities in km/s."""
    rng = np.random.default_rng(7)
    x, y, z = np.meshgrid(*(np.linspace(0, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    depth = z + 0.05 * np.sin(5.0 * x + 1.5 * y) + 0.03 * np.cos(7.0 * y - 2.0 * x)
    for foot, dip, push in ((0.35, 0.9, 0.13), (0.72, 1.3, 0.09)):
        # What lies above a thrust has come up along it, and less so towards its end in y.
        above = z < dip * (x - foot + 0.08 * np.sin(3 * y))
        depth = depth + np.where(above, push * (1 - 0.6 * y), 0)
    tops = np.cumsum(rng.uniform(0.035, 0.08, 16))
    v = np.linspace(2.6, 6.0, len(tops) + 1) + rng.uniform(-0.35, 0.35, len(tops) + 1)
    model = v[np.searchsorted(tops, depth)].astype(np.float32)
    channel = (np.abs(y - 0.5 - 0.15 * np.sin(6 * x)) < 0.025) & (np.abs(z - 0.27) < 0.02)
    model[np.broadcast_to(channel, shape)] -= 0.7
    weathered = np.broadcast_to(z < 0.03 + 0.015 * np.sin(9 * x) * np.cos(8 * y), shape)
    model[weathered] = 2.2
    return np.clip(model, 2.2, 6.0)


def measured(
    true: so.Model, smooth: so.Model, t: float, memory: float, *, told: bool = False
) -> tuple[float, np.ndarray, float]:
    """How long ``F @ q`` takes, and the gradient of the misfit in the smooth model and how long that takes."""
    nx, ny, _ = true.shape
    src = so.Geometry([[[nx * SPACING / 2, ny * SPACING / 2, 2 * SPACING]]], dt=8.0, t=t)
    across = (SPACING * np.arange(8, n - 8, 8) for n in (nx, ny))
    carpet = np.stack(np.meshgrid(*across, [SPACING], indexing="ij"), axis=-1).reshape(1, -1, 3)
    rec = so.Geometry(carpet, dt=8.0, t=t)
    q = so.ricker(src, f0=PEAK)
    F = so.modeling(true, src, rec)
    start = time.perf_counter()
    d = F @ q
    march = time.perf_counter() - start
    if told:
        steps, nodes = F.factors[1].nt, np.prod(true.padded_shape)
        print(true, rec, f"{steps} steps, {nodes / 1e6:.1f} million nodes", sep="\n")
        print(f"F @ q      {march:6.0f} s, {steps * nodes / march / 1e9:.2f} billion nodes a second", flush=True)
    F = so.modeling(smooth, src, rec)
    with so.config(memory=int(memory * 2**30)):
        if told:
            print(F.jacobian(q).memory(verbose=False), flush=True)
        start = time.perf_counter()
        _, gradient = so.fwi(F, q, d)
    return march, gradient, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs=3, default=(401, 401, 187))
    parser.add_argument("--t", type=float, default=3000.0, help="ms")
    parser.add_argument("--memory", type=float, default=8.0, help="GiB that the gradient's background may take")
    parser.add_argument("--output", type=Path, default=Path("pictures"))
    args = parser.parse_args()
    draw_in_files()

    v = overthrust(tuple(args.cells))
    v0 = 1 / gaussian_filter(1 / v, 12)
    true, smooth = (so.Model(v=values, spacing=SPACING, vmax=6.1) for values in (v, v0))
    measured(true, smooth, 300.0, args.memory)  # builds the kernels
    march, gradient, took = measured(true, smooth, args.t, args.memory, told=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"gradient   {took:6.0f} s, {took / march:.1f} marches; peak memory {peak:.1f} GiB")

    figure, axes = plt.subplots(3, 2, figsize=(15, 12), layout="constrained")
    # What a shot sees fades with depth.
    shown = -np.reshape(gradient, true.shape) * np.arange(args.cells[2]) ** 2
    rows = [
        ("velocity", v, {"limits": (2.2, 6.0)}),
        ("start", v0, {"limits": (2.2, 6.0)}),
        ("descent in m, by depth squared", shown, {"clip": 99.5, "label": ""}),
    ]
    for (section, above), (name, values, look) in zip(axes, rows, strict=True):
        so.plot.section(true, values, section, title=name, **look)
        depth = 0.27 * SPACING * args.cells[2]
        so.plot.section(true, values, above, across="z", at=depth, title=f"{name}, a map", **look)
    args.output.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.output / "overthrust3d.png", dpi=110)


if __name__ == "__main__":
    main()
