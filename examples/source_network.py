"""Estimation of sources: a network around the extended source finds them, and learns the earth they are in.

Sources spread along short cracks fire with a known wavelet, d = E(m) w + noise with E = Pr A(m) Pw.H. The network takes
a few gradient steps of the misfit of E(m) w and d, each followed by a few convolutions, and m is one of its weights: it
starts wrong and is learned from the same pairs (d, w), the derivative going through E and E.H in w and in m. A
convolutional network of the same number of weights that only sees the records is trained beside it.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from pylops.optimization.basic import cgls
from seisops_torch import Layer
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu
from tqdm import tqdm

import seisops as so
from seisops.scene import draw_in_files, relative_error, save

SHAPE, SPACING, F0 = (64, 48), 15.0, 0.015


def earth() -> tuple[np.ndarray, np.ndarray]:
    """The velocity with a fast body in the middle, and the start, a mean of it, too slow; km/s."""
    x, z = np.meshgrid(*(np.linspace(0, 1, n) for n in SHAPE), indexing="ij")
    trend = 1.8 + 0.8 * z
    return trend + 0.5 * np.exp(-(((x - 0.45) / 0.22) ** 2) - ((z - 0.4) / 0.2) ** 2), 0.96 * trend


def receivers() -> so.Geometry:
    """A line on the surface."""
    return so.Geometry.spread(np.linspace(15.0, 930.0, 40), depth=20.0, nsrc=1, dt=4.0, t=700.0)


def operator(v: np.ndarray, dtype: str = "float32") -> so.algebra.SeismicOperator:
    """E: what the receivers record of weights of a wavelet everywhere."""
    model, rec = so.Model(v=v, spacing=SPACING, vmax=3.6, dtype=dtype), receivers()
    return so.Projection(model, rec) @ so.Modeling(model, rec) @ so.LRWF(model, rec, so.ricker(rec, F0)[0, 0]).H


def cracks(n: int, seed: int) -> np.ndarray:
    """One to three short cracks a record, each brightest in its middle; (n, 1, x, z)."""
    rng = np.random.default_rng(seed)
    x, z = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    w = np.zeros((n, 1, *SHAPE), "float32")
    for item in w[:, 0]:
        for _ in range(rng.integers(1, 4)):
            a, b, angle, length = rng.uniform((8, 14, 0, 1.5), (SHAPE[0] - 8, SHAPE[1] - 6, np.pi, 5))
            along = (x - a) * np.cos(angle) + (z - b) * np.sin(angle)
            across = (z - b) * np.cos(angle) - (x - a) * np.sin(angle)
            item += rng.choice([-1, 1]) * np.exp(-0.5 * ((along / length) ** 2 + across**2))
    return w


def records(E, w: np.ndarray, seed: int) -> np.ndarray:
    """What is recorded of w, with white noise 10 dB below."""
    d = np.stack([E @ item for item in w])
    n = np.random.default_rng(seed).standard_normal(d.shape)
    return d + (n * np.std(d, axis=(1, 2, 3), keepdims=True) * 10**-0.5).astype(d.dtype)


def convolutions(*channels: int) -> nn.Sequential:
    """3 x 3 convolutions, bent between."""
    layers = [nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(channels)]
    bent = [layer for conv in layers[:-1] for layer in (conv, nn.LeakyReLU(0.1))]
    return nn.Sequential(*bent, layers[-1])


class Physics(nn.Module):
    """Gradient steps through E(m), each corrected by its own network; m is learned too."""

    def __init__(self, E, steps: int = 3, channels: int = 16) -> None:
        super().__init__()
        self.E, self.EH = Layer(E), Layer(E.H)
        x = np.random.default_rng(0).standard_normal(E.dims).astype(E.dtype)
        for _ in range(10):
            x = E.H @ (E @ (x / np.linalg.norm(x)))
        self.norm = float(np.linalg.norm(x))
        self.register_buffer("start", torch.from_numpy(E.model.v.copy()))
        self.knots = nn.Parameter(torch.zeros(6, 5))
        self.nets = nn.ModuleList(convolutions(3, channels, channels, channels, 1) for _ in range(steps))
        self.step = nn.Parameter(torch.ones(steps))

    def velocity(self) -> Tensor:
        """The start, changed smoothly: bicubic interpolation between knots; km/s."""
        change = interpolate(self.knots[None, None], SHAPE, mode="bicubic", align_corners=True)[0, 0]
        return self.start * torch.exp(change)

    def forward(self, d: Tensor) -> Tensor:
        m = self.velocity() ** -2
        w = first = torch.zeros(len(d), 1, *SHAPE)
        for k, net in enumerate(self.nets):
            residual = self.E(w, m=m) - d if k else -d
            g = self.EH(residual, m=m) * (4 / self.norm)
            first = first if k else g
            w = w - self.step[k] * g
            w = w + net(torch.cat([w, g, first], 1))
        return w


class Plain(nn.Module):
    """Convolutions of the record alone, down to a coarse scale and back, brought to the shape of the section."""

    def __init__(self, size: float, channels: int = 17) -> None:
        super().__init__()
        self.size = size
        self.down = nn.ModuleList([convolutions(1, channels, channels), convolutions(channels, channels, channels)])
        self.up = nn.ModuleList([convolutions(2 * channels, channels, channels, 1)])

    def forward(self, d: Tensor) -> Tensor:
        x = interpolate(d / self.size, SHAPE, mode="bilinear")
        fine = leaky_relu(self.down[0](x), 0.1)
        coarse = leaky_relu(self.down[1](avg_pool2d(fine, 4)), 0.1)
        return self.up[0](torch.cat([fine, interpolate(coarse, SHAPE, mode="bilinear")], 1))


def errors(found: Tensor, w: Tensor) -> Tensor:
    """The squared relative error of every item."""
    return (found - w).square().sum((1, 2, 3)) / w.square().sum((1, 2, 3))


def train(network: nn.Module, d: Tensor, w: Tensor, epochs: int, name: str) -> None:
    """Adam on the squared relative error; the velocity's knots have a rate of their own."""
    knots = [p for n, p in network.named_parameters() if n == "knots"]
    others = [p for n, p in network.named_parameters() if n != "knots"]
    groups = [{"params": others, "lr": 3e-3}, *({"params": [p], "lr": 5e-3} for p in knots)]
    optimiser = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    turns = tqdm(range(epochs), desc=name, bar_format="{desc:24} {bar:30} {n_fmt}/{total_fmt} [{elapsed}] {postfix}")
    for _ in turns:
        losses = []
        for i in torch.randperm(len(w)).split(8):
            optimiser.zero_grad()
            loss = errors(network(d[i]), w[i]).mean()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        schedule.step()
        turns.set_postfix_str(f"relative error {np.mean(losses) ** 0.5:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=256, help="to train on")
    parser.add_argument("--held-out", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=8, help="ten times them without E")
    parser.add_argument("--output", type=Path, default=Path("pictures"))
    args = parser.parse_args()
    draw_in_files()
    torch.manual_seed(0)

    v, v0 = earth()
    E, true = operator(v0), operator(v)
    print(E, E.model, sep="\n")
    w, w_new = cracks(args.records, 1), cracks(args.held_out, 2)
    d, d_new = records(true, w, 3), records(true, w_new, 4)
    physics, plain = Physics(E), Plain(float(np.std(d)))
    train(physics, torch.from_numpy(d), torch.from_numpy(w), args.epochs, "network around E")
    train(plain, torch.from_numpy(d), torch.from_numpy(w), 10 * args.epochs, "convolutions alone")

    def solution(op) -> np.ndarray:
        zero = np.zeros(op.shape[1], op.dtype)
        return np.stack([cgls(op, x.ravel(), x0=zero, niter=15, tol=0)[0].reshape(1, *SHAPE) for x in d_new])

    with torch.no_grad():
        images = {
            "CGLS in the start": solution(E),
            "CGLS in the true earth": solution(true),
            "convolutions alone": plain(torch.from_numpy(d_new)).numpy(),
            "network around E": physics(torch.from_numpy(d_new)).numpy(),
        }
        learned = physics.velocity().numpy()
    print(f"{args.held_out} records not seen            weights   relative error")
    for name, found in images.items():
        network = {"convolutions alone": plain, "network around E": physics}.get(name)
        size = sum(p.numel() for p in network.parameters()) if network else 0
        print(f"  {name:24} {size:14} {np.mean([relative_error(*x) for x in zip(found, w_new, strict=True)]):16.3f}")
    print(f"error of the velocity: {relative_error(v0, v):.4f} at the start, {relative_error(learned, v):.4f} learned")

    figure, axes = plt.subplots(2, 5, figsize=(23, 7), layout="constrained")
    limits = (-1.0, 1.0)
    for ax, (name, found) in zip(axes[0], {"true sources": w_new, **images}.items(), strict=True):
        so.plot.section(E.model, found[0, 0], ax, title=name, label="w", clip=99, limits=limits)
    limits = (float(v0.min()), float(v.max()))
    for ax, (name, x) in zip(axes[1], {"true": v, "start": v0, "learned": learned}.items(), strict=False):
        so.plot.section(E.model, x, ax, title=f"velocity: {name}", label="km/s", limits=limits)
    so.plot.shot(receivers(), d_new[0], axes[1, 3], title="the record")
    axes[1, 4].axis("off")
    save(figure, args, "source_network.png")


if __name__ == "__main__":
    main()
