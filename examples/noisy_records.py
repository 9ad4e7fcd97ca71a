"""One noisy record of many sources: what migration and linear inversion see in it.

Twenty sources fire into one record, with random signs and delays. The data are Born data, d = J dm + noise, of the
background that is used to invert them, a smooth version of the truth; the noise has the frequencies of the source. The
record is migrated, and inverted by gradient descent and by conjugate gradients. The examples with unrolled networks
take their records from here: sections with backgrounds, signs and delays of their own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pylops
from scipy.signal import fftconvolve
from skimage.metrics import structural_similarity

import seisops as so
from seisops.scene import draw_in_files, relative_error, save

SHAPE, SPACING, F0 = (200, 100), 10.0, 0.018
# The norm of J.H J is about this for all sections, a perturbation has about this size in s²/km², and a first gradient
# gets to unit size by this factor.
NORM, SIZE, GAIN = 5.5e5, 0.01, 64.0
# Of CGLS steps from the image of a network: more fit the noise.
FINISH = 8


@dataclass
class Record:
    """A record d of J dm and noise, its receivers, the true perturbation, and the velocity it is one of."""

    J: so.algebra.SeismicOperator
    d: np.ndarray
    rec: so.Geometry
    dm: np.ndarray
    v: np.ndarray

    @property
    def rock(self) -> np.ndarray:
        """Tell the rock from the water, which is known."""
        return self.v > 1.5


def section(seed: int) -> np.ndarray:
    """Draw slow or fast layers, faulted and folded, with one to three lenses, and salt in every other section; km/s."""
    rng = np.random.default_rng([seed, 0])
    nx, nz = SHAPE
    # The upper part of a deeper section has thicker layers.
    v = so.models.faulted((nx, 13 * nz // 10), SPACING, water=60.0, seed=1000 + seed)[:, :nz]
    x, z = np.meshgrid(np.linspace(0, 1, nx), np.linspace(0, 1, nz), indexing="ij")
    water = v <= 1.5
    for _ in range(rng.integers(0, 3)):
        a, b, width, height = rng.uniform((0.08, 0.25, 0.03, 0.02), (0.92, 0.85, 0.09, 0.05))
        inside = np.hypot((x - a) / width, (z - b) / height) < 1
        v = np.where(inside, v + rng.choice([-1, 1]) * rng.uniform(0.25, 0.5), v)
    v = np.where(water, 1.5, np.clip(rng.uniform(0.9, 1.4) * v, 1.6, 6.0))
    if rng.random() < 0.5:
        a, b, width, height = rng.uniform((0.15, 0.45, 0.06, 0.08), (0.85, 0.75, 0.16, 0.2))
        angle = np.arctan2((z - b) / height, (x - a) / width)
        waves = [rng.uniform(-0.12, 0.12) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(2, 6)]
        v = np.where(np.hypot((x - a) / width, (z - b) / height) < 1 + sum(waves), 4.4, v)
    return v


def resampled(path: Path) -> np.ndarray:
    """Take the middle of a section in a file, on our grid; the nearest cells, as none is half water."""
    v, _ = so.models.load(path, SPACING)
    (nx, nz), scale = SHAPE, (v.shape[1] - 1) / (SHAPE[1] - 1)
    left = (v.shape[0] - 1 - scale * (nx - 1)) / 2
    if left < 0:
        raise ValueError(
            f"A section of {v.shape[0]} x {v.shape[1]} cells is less than {nx / nz:g} times as wide as deep."
        )
    x, z = (np.round(first + scale * np.arange(n)).astype(int) for first, n in ((left, nx), (0, nz)))
    v = v[np.ix_(x, z)]
    return np.where(v < 1.55, 1.5, v)


def record(seed: int, noise: float = 10.0, v: np.ndarray | None = None) -> Record:
    """Fire all sources into one record, and add noise `noise` dB below it; each record has its own background."""
    rng = np.random.default_rng([seed, 1])
    v = section(seed) if v is None else v
    v0 = so.models.smooth(v, 2.0, keep=v <= 1.5)
    model = so.Model(v=v0, spacing=SPACING, vmax=1.02 * v0.max())
    length, times = (SHAPE[0] - 1) * SPACING, {"nsrc": 1, "dt": 4.0, "t": 1200.0}
    src = so.Geometry.spread(np.linspace(50.0, length - 50.0, 20) + 3.7, depth=20.0, **times)
    rec = so.Geometry.spread(np.arange(SHAPE[0]) * SPACING, depth=30.0, **times)
    q = so.ricker(src, F0)
    for wavelet in q[0]:
        wavelet[:] = rng.choice([-1, 1]) * np.roll(wavelet, rng.integers(0, 40))
    J = so.Jacobian(so.modeling(model, src, rec), q)
    dm = (v**-2 - v0**-2).astype(J.dtype)
    d = J @ dm
    n = fftconvolve(rng.standard_normal(d.shape), so.ricker(rec, F0)[:, :1], mode="same", axes=-1)
    n *= np.linalg.norm(d) / np.linalg.norm(n) * 10 ** (-noise / 20)
    return Record(J, d + n.astype(d.dtype), rec, dm, v)


def told(r: Record) -> pylops.LinearOperator:
    """What the network is told too: where the water is, and that deeper is darker."""
    depth = np.linspace(0, 2, SHAPE[1]).clip(0.05)
    return pylops.Diagonal((r.rock * np.sqrt(depth)).astype(r.J.dtype).ravel(), dtype=r.J.dtype)


def least_squares(r: Record, iterations: int, start: np.ndarray | float = 0.0) -> np.ndarray:
    """CGLS steps from an image."""
    P, x = told(r), np.full(SHAPE, start, r.J.dtype)
    op = r.J @ P
    y = pylops.cgls(op, (r.d - r.J @ x).ravel(), x0=np.zeros(op.shape[1], op.dtype), niter=iterations, tol=0)[0]
    return x + (P @ y).reshape(SHAPE)


def linear(r: Record, steps: int, iterations: int) -> dict[str, np.ndarray]:
    """What linear methods make of a record."""
    P, d = told(r), r.d.ravel()
    op = r.J @ P
    migration = (P @ op.rmatvec(d)).reshape(SHAPE)
    # A migration has no amplitudes of its own: it gets those that fit the truth best.
    migration *= np.vdot(migration, r.dm) / np.vdot(migration, migration)
    y, residual = np.zeros(op.shape[1], op.dtype), d
    for _ in range(steps):
        g = op.rmatvec(residual)
        Jg = op.matvec(g)
        step = np.vdot(g, g) / np.vdot(Jg, Jg)
        y, residual = y + step * g, residual - step * Jg
    return {
        "RTM": migration,
        f"{steps} gradient steps": (P @ y).reshape(SHAPE),
        f"CGLS, {iterations} steps": least_squares(r, iterations),
    }


def all_methods(r: Record, image: np.ndarray) -> dict[str, np.ndarray]:
    """The linear methods, and a network's image before and after some steps towards the record."""
    return {
        **linear(r, 5, 20),
        "unrolled network": image,
        f"network, {FINISH} CGLS steps": least_squares(r, FINISH, image),
    }


def scores(x: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Relative error and structural similarity."""
    return relative_error(x, true), float(structural_similarity(x, true, data_range=float(np.ptp(true))))


def report(title: str, records: Iterable[Record], methods: Callable[[Record], dict[str, np.ndarray]]) -> None:
    """Print how near to the truth each method comes, on average over the records."""
    found = [{name: scores(x, r.dm) for name, x in methods(r).items()} for r in records]
    print(f"{title:40} relative error   SSIM")
    for name in found[0]:
        error, ssim = np.mean([f[name] for f in found], axis=0)
        print(f"  {name:24} {error:28.3f} {ssim:6.3f}")


def draw(axes, r: Record, images: dict[str, np.ndarray]) -> None:
    """Draw the truth and the images beside it."""
    limit = float(np.percentile(np.abs(r.dm), 98))
    options = {"label": "dm (s²/km²)", "clip": 98, "limits": (-limit, limit)}
    for ax, (name, image) in zip(axes, {"true": r.dm, **images}.items(), strict=True):
        so.plot.section(r.J.model, image, ax, title=name, **options)


def compare(description: str, weights: Path, picture: str, load: Callable[[Path], Callable]) -> None:
    """Run an unrolled network from the command line: `load` makes of a file of weights what images a record."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=weights)
    parser.add_argument("--held-out", type=int, default=1, help="sections to compare on")
    parser.add_argument("--output", type=Path, default=Path("pictures"))
    args = parser.parse_args()
    draw_in_files()
    image = load(args.weights)

    def methods(r: Record) -> dict[str, np.ndarray]:
        return all_methods(r, image(r))

    report(f"{args.held_out} sections not seen, 10 dB", (record(seed) for seed in range(args.held_out)), methods)
    figure, axes = plt.subplots(1, 6, figsize=(28, 3), layout="constrained")
    r = record(0)
    draw(axes, r, methods(r))
    save(figure, args, picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the section")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--output", type=Path, default=Path("pictures"))
    args = parser.parse_args()
    draw_in_files()
    r = record(args.seed)
    print(r.J, r.J.model, sep="\n")

    def methods(r: Record) -> dict[str, np.ndarray]:
        return linear(r, 5, args.iterations)

    for noise in (20.0, 10.0, 5.0):
        report(f"noise {noise:g} dB below the record", [record(args.seed, noise)], methods)
    figure, axes = plt.subplots(2, 3, figsize=(16, 6.5), layout="constrained")
    ax = axes.ravel()
    so.plot.section(r.J.model, r.v, ax[0], title="velocity", label="km/s")
    so.plot.shot(r.rec, r.d, ax[1], title="the record")
    draw(ax[2:], r, methods(r))
    save(figure, args, "noisy_records.png")


if __name__ == "__main__":
    main()
