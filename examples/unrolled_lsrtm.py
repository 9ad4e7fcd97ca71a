"""A loop-unrolled least-squares migration, trained: small networks between J and J.H.

Each of a few iterations takes a gradient step whose direction a convolutional network corrects,

    g = J.H (J x - d),    x <- x - step g + net(x, g),

and all are trained together on pairs of generated perturbations and single records of simultaneous
sources. On models it has not seen the network is compared with a migration and with as many
iterations of gradient descent. After Adler and Öktem (2017, Inverse Problems 33).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from seisops_torch import Layer
from skimage.metrics import structural_similarity
from torch import Tensor, nn
from tqdm import tqdm

import seisops as so

SHAPE, SPACING, F0 = (96, 48), 15.0, 0.012


def survey(rng: np.random.Generator) -> tuple[so.algebra.SeismicOperator, np.ndarray, so.Model]:
    """J of one record in which ten sources fire together, with random signs and delays."""
    (nx, nz), length = SHAPE, (SHAPE[0] - 1) * SPACING
    v = np.broadcast_to(np.linspace(1.6, 2.6, nz), SHAPE)
    model = so.Model(v=v, spacing=SPACING)
    x = np.linspace(40.0, length - 40.0, 10) + 3.7
    src = so.Geometry.spread(x, depth=20.0, nsrc=1, dt=4.0, t=1100.0)
    rec = so.Geometry.spread(np.arange(nx) * SPACING, depth=30.0, nsrc=1, dt=4.0, t=1100.0)
    F = so.modeling(model, src, rec)
    q = so.ricker(src, F0)
    for i in range(q.shape[1]):
        q[0, i] = rng.choice([-1, 1]) * np.roll(q[0, i], rng.integers(0, 30))
    return so.Jacobian(F, q), q, model


def perturbations(seeds: range) -> np.ndarray:
    """Perturbations of generated models about their smooth part, zero under the sources."""
    result = []
    for seed in seeds:
        v = so.models.faulted(SHAPE, SPACING, water=60.0, seed=seed)
        dm = v**-2 - so.models.smooth(v, 2.5) ** -2
        dm[:, :6] = 0
        result.append(dm)
    return np.stack(result).astype("float32")


class Unrolled(nn.Module):
    """A few gradient iterations, each corrected by its own small network."""

    def __init__(self, J: Layer, step: float, scale: float, iterations: int, channels: int = 24) -> None:
        super().__init__()
        self.J, self.JH = J, J.H
        # What the networks see has unit size: J takes and gives physical numbers.
        self.step, self.scale = step, scale
        self.nets = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(2, channels, 5, padding=2), nn.ReLU(),
                nn.Conv2d(channels, channels, 5, padding=2), nn.ReLU(),
                nn.Conv2d(channels, 1, 5, padding=2),
            )
            for _ in range(iterations)
        )  # fmt: skip
        for net in self.nets:
            nn.init.zeros_(net[-1].weight)
            nn.init.zeros_(net[-1].bias)

    def forward(self, d: Tensor) -> Tensor:
        x = torch.zeros(len(d), 1, *SHAPE)
        for net in self.nets:
            g = self.step * self.JH(self.J(x * self.scale) - d) / self.scale
            x = x - g + net(torch.cat([x, g], dim=1))
        return x * self.scale


def descent(J, d: np.ndarray, step: float, iterations: int) -> np.ndarray:
    """As many iterations of plain gradient descent."""
    x = np.zeros(J.shape[1], "float32")
    for _ in range(iterations):
        x = x - step * J.rmatvec(J.matvec(x) - d.ravel())
    return x.reshape(SHAPE)


def fitted(x: np.ndarray, true: np.ndarray) -> np.ndarray:
    """A migration has no amplitudes of its own: it gets the scale that fits the truth best."""
    return x * np.vdot(x, true) / np.vdot(x, x)


def scores(x: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Relative error and structural similarity."""
    error = np.linalg.norm(x - true) / np.linalg.norm(true)
    return float(error), float(structural_similarity(x, true, data_range=float(np.ptp(true))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=24, help="to train on")
    parser.add_argument("--held-out", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--output", type=Path, default=Path("pictures"))
    args = parser.parse_args()
    plt.switch_backend("Agg")
    torch.manual_seed(0)
    rng = np.random.default_rng(0)

    J, _, model = survey(rng)
    print(J, model, sep="\n")
    x = rng.standard_normal(J.shape[1]).astype("float32")
    for _ in range(12):
        x = J.rmatvec(J.matvec(x / np.linalg.norm(x)))
    step = 1 / float(np.linalg.norm(x))

    train, held_out = perturbations(range(100, 100 + args.models)), perturbations(range(args.held_out))
    record = Layer(J)
    data = [record(torch.from_numpy(dm)[:, None]).detach() for dm in (train, held_out)]
    network = Unrolled(record, step, float(train.std()), args.iterations)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, args.epochs)
    target = torch.from_numpy(train)[:, None]
    losses = []
    bar = tqdm(
        range(args.epochs), desc="training", bar_format="{desc} {bar:30} {n_fmt}/{total_fmt} [{elapsed}] {postfix}"
    )
    for _ in bar:
        total = 0.0
        for batch in torch.randperm(len(train)).split(4):
            optimiser.zero_grad()
            loss = (network(data[0][batch]) - target[batch]).square().mean() / target.square().mean()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch) / len(train)
        schedule.step()
        losses.append(total)
        bar.set_postfix_str(f"loss {total:.3f}")

    with torch.no_grad():
        learned = network(data[1])[:, 0].numpy()
    results = {"migration": [], "gradient descent": [], "unrolled network": []}
    for i, true in enumerate(held_out):
        d = data[1][i].numpy()
        results["migration"].append(fitted(J.rmatvec(d.ravel()).reshape(SHAPE), true))
        results["gradient descent"].append(descent(J, d, step, args.iterations))
        results["unrolled network"].append(learned[i])
    print(f"on {len(held_out)} models not trained on:  relative error   SSIM")
    for name, images in results.items():
        error, ssim = np.mean([scores(x, true) for x, true in zip(images, held_out, strict=True)], axis=0)
        print(f"  {name:18} {error:30.3f} {ssim:8.3f}")

    figure, axes = plt.subplots(2, 4, figsize=(18, 6), layout="constrained")
    for row, i in zip(axes, (0, 1), strict=True):
        limit = float(np.percentile(np.abs(held_out[i]), 99))
        for ax, (name, image) in zip(row, {"true": held_out, **results}.items(), strict=True):
            so.plot.section(model, image[i], ax, title=name, label="dm (s²/km²)", clip=99, limits=(-limit, limit))
    args.output.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.output / "unrolled_lsrtm.png", dpi=100)
    print(f"picture: {args.output / 'unrolled_lsrtm.png'}")


if __name__ == "__main__":
    main()
