"""A loop-unrolled least-squares migration: an image from one noisy record, by networks between J and J.H.

Each of a few iterations takes a gradient of the misfit, and a network makes a step of it and of what came before,

    g = J.H (J x - d),    x <- x - step g + net(x, g, ...),

after Adler and Öktem (2017, Inverse Problems 33). The networks are first trained one after the other, each on the
images that those before it leave (Hauptmann et al., 2018, IEEE Transactions on Medical Imaging 37), then all together,
the derivative going through every J and J.H. Every record has its own section, background and encoding, see
`noisy_records.py`. The weights beside this file were made by `--train`.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import noisy_records
import numpy as np
import torch
from noisy_records import GAIN, NORM, SHAPE, SIZE, Record, all_methods, draw, record, report, resampled
from seisops_torch import Layer
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu
from torch.utils.data import DataLoader, Dataset, TensorDataset
from tqdm import tqdm

from seisops.scene import draw_in_files, save

WEIGHTS = Path(noisy_records.__file__).with_name("unrolled_lsrtm.npz")
CHANNELS = (24, 32, 48)
# Sections whose numbers begin here are trained on, those from zero are not.
FIRST = 10_000


class Block(nn.Module):
    """A small U-net on three scales."""

    def __init__(self, inputs: int = 5, channels: tuple[int, int, int] = CHANNELS) -> None:
        super().__init__()
        a, b, c = channels
        sizes = [(inputs, a), (a, a), (a, b), (b, b), (b, c), (c, c), (c + b, b), (b + a, a), (a, 1)]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in sizes)
        # At first a block takes a plain gradient step.
        nn.init.zeros_(self.convs[-1].weight)
        nn.init.zeros_(self.convs[-1].bias)
        # Convolutions on cores take half the time where the channels of a cell lie side by side.
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        convs = iter(self.convs)

        def bent(*x: Tensor) -> Tensor:
            return leaky_relu(next(convs)(torch.cat(x, 1)), 0.1)

        fine = bent(bent(x))
        middle = bent(bent(avg_pool2d(fine, 2)))
        coarse = bent(bent(avg_pool2d(middle, 2)))
        middle = bent(interpolate(coarse, scale_factor=2), middle)
        fine = bent(interpolate(middle, scale_factor=2), fine)
        return next(convs)(fine)


class Unrolled(nn.Module):
    """Gradient steps, each made by its own block; ``network(J, d, rock)`` is the image, in units of SIZE."""

    def __init__(self, iterations: int, channels: tuple[int, int, int] = CHANNELS) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(channels=channels) for _ in range(iterations))
        self.step = nn.Parameter(torch.full((iterations,), 1 / GAIN))
        # Deeper is darker: gradients are brought to one size.
        depth = torch.linspace(0, 2, SHAPE[1]).clamp(min=0.05).expand(1, 1, *SHAPE)
        self.register_buffer("depth", depth, persistent=False)

    def gradient(self, J: Layer, x: Tensor, d: Tensor) -> Tensor:
        """J.H (J x - d), of unit size."""
        residual = J(SIZE * x) - d if x.any() else -d
        return J.H(residual) * self.depth * (GAIN / (NORM * SIZE))

    def advance(self, k: int, x: Tensor, g: Tensor, past: tuple[Tensor, Tensor], rock: Tensor) -> Tensor:
        """The k-th step from x, given its gradient, and `past`: the first gradient and the one before."""
        seen = torch.cat([x, g, *past, self.depth.expand_as(x) - 1], 1)
        return rock * (x - self.step[k] * g + self.blocks[k](seen))

    def forward(self, J: Layer, d: Tensor, rock: Tensor) -> list[Tensor]:
        """The images after every step, of axes (batch, 1, x, z)."""
        x = torch.zeros(len(d), 1, *SHAPE)
        images, past = [], (x, x)
        for k in range(len(self.blocks)):
            g = self.gradient(J, x, d)
            x = self.advance(k, x, g, past, rock)
            past = (past[0] if k else g, g)
            images.append(x)
        return images

    def image(self, r: Record) -> np.ndarray:
        """The image of one record, in s²/km²."""
        with torch.no_grad():
            return SIZE * self(*tensors(r))[-1][0, 0].numpy()

    def save(self, path: Path) -> None:
        np.savez_compressed(path, **{name: p.detach().numpy() for name, p in self.named_parameters()})

    @classmethod
    def load(cls, path: Path) -> Unrolled:
        """The network of a file, which those in Keras and JAX read too."""
        with np.load(path) as file:
            weights = {name: torch.from_numpy(file[name]) for name in file.files}
        channels = tuple(len(weights[f"blocks.0.convs.{i}.bias"]) for i in (0, 2, 4))
        network = cls(len(weights["step"]), channels)
        network.load_state_dict(weights)
        return network


def tensors(r: Record) -> tuple[Layer, Tensor, Tensor]:
    """J as a layer, the record, and where there is rock."""
    return Layer(r.J), torch.from_numpy(r.d)[None], torch.from_numpy(r.rock).float()


class Records(Dataset):
    """Records made when they are asked for, with noise between 5 and 20 dB below them."""

    def __init__(self, seeds: range) -> None:
        self.seeds = seeds

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, i: int) -> Record:
        seed = self.seeds[i]
        return record(seed, np.random.default_rng([seed, 2]).uniform(5, 20))


def distance(x: Tensor, true: Tensor) -> Tensor:
    """The squared relative error of every item."""
    return (x - true).square().sum((1, 2, 3)) / true.square().sum((1, 2, 3))


def schedule(parameters: list[Tensor], rate: float, steps: int) -> tuple[torch.optim.Optimizer, object]:
    """Adam, and a rate that rises at first and falls to the end."""
    optimiser = torch.optim.AdamW(parameters, rate, weight_decay=1e-4)
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)


def bar(items, what: str, **options) -> tqdm:
    return tqdm(items, desc=what, **options, bar_format="{desc:26} {bar:30} {n_fmt}/{total_fmt} [{elapsed}] {postfix}")


def fit(network: Unrolled, k: int, seen: TensorDataset, epochs: int) -> tuple[Tensor, list[float]]:
    """Train one block by itself on what it sees; the images it makes of it, and the error of every epoch."""
    parameters = [*network.blocks[k].parameters(), network.step]
    optimiser, rates = schedule(parameters, 3e-3, epochs * -(-len(seen) // 8))
    turns, curve = bar(range(epochs), f"block {k + 1}"), []
    for _ in turns:
        losses = []
        for x, g, first, before, rock, true in DataLoader(seen, batch_size=8, shuffle=True):
            loss = distance(network.advance(k, x, g, (first, before), rock), true).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rates.step()
            losses.append(loss.item())
        curve.append(np.mean(losses) ** 0.5)
        turns.set_postfix_str(f"relative error {curve[-1]:.3f}")
    with torch.no_grad():
        parts = (seen[i] for i in torch.arange(len(seen)).split(8))
        return torch.cat([network.advance(k, x, g, (a, b), rock) for x, g, a, b, rock, _ in parts]), curve


def in_turn(network: Unrolled, records: Records, epochs: int, pool: ThreadPoolExecutor) -> list[float]:
    """Train one block after the other on the images that those before it leave; the error of every epoch."""
    n, curve = len(records), []
    x, g, first, before, rock, true = (torch.zeros(n, 1, *SHAPE) for _ in range(6))

    def gradient(k: int, i: int) -> None:
        r = records[i]
        J, d, rock[i, 0] = tensors(r)
        true[i, 0] = torch.from_numpy(r.dm) / SIZE
        with torch.no_grad():
            g[i] = network.gradient(J, x[i : i + 1], d)[0]

    for k in range(len(network.blocks)):
        # A shot has one thread; so that two fill two cores, a network's own would be in their way.
        torch.set_num_threads(1)
        list(bar(pool.map(partial(gradient, k), range(n)), f"gradients {k + 1}", total=n))
        torch.set_num_threads(2)
        x[:], errors = fit(network, k, TensorDataset(x, g, first, before, rock, true), epochs)
        curve += errors
        before[:] = g
        if k == 0:
            first[:] = g
    return curve


def together(network: Unrolled, records: Records, pool: ThreadPoolExecutor, batch: int = 4) -> list[float]:
    """Train all blocks, through every J and J.H, on records seen once; the error of each."""
    torch.set_num_threads(1)
    parameters = list(network.parameters())

    def work(r: Record) -> tuple[float, tuple[Tensor, ...]]:
        true = torch.from_numpy(r.dm)[None, None] / SIZE
        errors = [distance(x, true).mean() for x in network(*tensors(r))]
        # Earlier images count too, each half as much as the next.
        loss = sum(e / 2**k for k, e in enumerate(reversed(errors)))
        return errors[-1].item(), torch.autograd.grad(loss, parameters)

    optimiser, rates = schedule(parameters, 6e-4, -(-len(records) // batch))
    loader = iter(DataLoader(records, batch_size=batch, collate_fn=list))
    curve, batch_ = [], next(loader)
    with bar(None, "all blocks", total=len(records)) as progress:
        while batch_ is not None:
            running = [pool.submit(work, r) for r in batch_]
            # The next records are made while the network learns from these.
            batch_ = next(loader, None)
            done = [f.result() for f in running]
            curve += [loss**0.5 for loss, _ in done]
            for p, *gradients in zip(parameters, *(g for _, g in done), strict=True):
                p.grad = sum(gradients) / len(gradients)
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            rates.step()
            progress.set_postfix_str(f"relative error {np.mean(curve[-100:]):.3f}")
            progress.update(len(done))
    return curve


def train(iterations: int, channels: tuple[int, int, int], models: int, epochs: int, streamed: int) -> tuple:
    """Train a network, whose weights are the same every time; and the errors on the way, in turn and together."""
    torch.manual_seed(0)
    network = Unrolled(iterations, channels)
    with ThreadPoolExecutor(2) as pool:
        blocks = in_turn(network, Records(range(FIRST, FIRST + models)), epochs, pool)
        first = FIRST + models
        return network, blocks, together(network, Records(range(first, first + streamed)), pool)


def draw_training(axes, blocks: list[float], streamed: list[float]) -> None:
    """Draw the errors on the way: of every epoch, and the mean of every hundred records."""
    axes[0].plot(np.arange(len(blocks)) + 1, blocks, ".-")
    axes[0].set(title="block after block", xlabel="epoch", ylabel="relative error")
    means = np.convolve(streamed, np.full(100, 0.01), mode="valid") if len(streamed) >= 100 else streamed
    axes[1].plot(np.arange(len(means)) + len(streamed) - len(means) + 1, means)
    axes[1].set(title="all together, on new records", xlabel="record")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true", help="make weights anew, in 50 minutes on two cores")
    parser.add_argument("--weights", type=Path, help="file to read, or that --train makes, in --output")
    parser.add_argument("--iterations", type=int, default=5, help="blocks of a network to train")
    parser.add_argument("--channels", type=int, nargs=3, default=CHANNELS, help="of its blocks, on each scale")
    parser.add_argument("--models", type=int, default=500, help="to train block after block on")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--streamed", type=int, default=1800, help="further ones to train all blocks on, seen once")
    parser.add_argument("--held-out", type=int, default=4, help="sections to compare on; those of the docs: 50")
    parser.add_argument("--noise", type=float, nargs="+", default=[10.0], help="dB below the records")
    parser.add_argument("--section", type=Path, help="velocities of another kind, at the first noise: .npy, .h5, SEG-Y")
    parser.add_argument("--output", type=Path, default=Path("pictures"))
    args = parser.parse_args()
    draw_in_files()

    if args.train:
        weights = args.weights or args.output / WEIGHTS.name
        weights.parent.mkdir(parents=True, exist_ok=True)
        network, *errors = train(args.iterations, tuple(args.channels), args.models, args.epochs, args.streamed)
        network.save(weights)
        print(f"weights: {weights}")
        figure, axes = plt.subplots(1, 2, figsize=(11, 3.5), sharey=True, layout="constrained")
        draw_training(axes, *errors)
        save(figure, args, "unrolled_training.png")
    else:
        network = Unrolled.load(args.weights or WEIGHTS)
    torch.set_num_threads(2)

    def methods(r: Record) -> dict[str, np.ndarray]:
        return all_methods(r, network.image(r))

    for noise in args.noise:
        records = (record(seed, noise) for seed in range(args.held_out))
        report(f"{args.held_out} sections not seen, {noise:g} dB", records, methods)
    shown = [record(seed, args.noise[0]) for seed in (0, 1)]
    if args.section:
        shown[1] = record(0, args.noise[0], resampled(args.section))
        report(f"{args.section.name}, {args.noise[0]:g} dB", shown[1:], methods)
    figure, axes = plt.subplots(len(shown), 6, figsize=(28, 6), layout="constrained")
    for row, r in zip(axes, shown, strict=True):
        draw(row, r, methods(r))
    save(figure, args, "unrolled_lsrtm.png")


if __name__ == "__main__":
    main()
