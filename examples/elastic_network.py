"""A network that is an earth: its vp and vs go through an elastic layer, and the records train it.

The network takes a position and says how much faster or slower P and S waves are there than in a smooth start. It has
never seen an earth; all it learns from are records of two components, through the gradients of the wave equation.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from seisops_torch import Layer
from tqdm import trange

import seisops as so
from seisops.scene import draw_in_files, parser, save, wells


class Earth(torch.nn.Module):
    """Velocities (2, nx, nz) around those at the start, as a smooth function of position.

    Parameters
    ----------
    start : tensor, (2, nx, nz)
        vp and vs in km/s.
    waves : int
        Plane waves of a position, of random directions and lengths, that the network is shown: it may be rough in no
        direction more than in another.
    change : float
        The largest relative change.
    """

    def __init__(self, start: torch.Tensor, waves: int = 48, width: int = 64, change: float = 0.17) -> None:
        super().__init__()
        self.register_buffer("start", start)
        x = torch.stack(torch.meshgrid(*(torch.linspace(0, 1, n) for n in start.shape[1:]), indexing="ij"), -1)
        angles = 2 * torch.pi * x @ torch.randn(2, waves)
        self.register_buffer("seen", torch.cat([angles.sin(), angles.cos()], -1))
        last = torch.nn.Linear(width, 2)
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)
        silu = torch.nn.SiLU
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(2 * waves, width), silu(), torch.nn.Linear(width, width), silu(), last
        )
        self.change = change

    def forward(self) -> torch.Tensor:
        return self.start * (1 + self.change * torch.tanh(self.layers(self.seen)).movedim(-1, 0))


def main() -> None:
    draw_in_files()
    reading = parser(__doc__, shots=10, iterations=80)
    reading.set_defaults(cells=(61, 61))
    args = reading.parse_args()
    torch.manual_seed(0)
    f0 = 0.010
    s = wells(args, f0)
    F, F0 = s.operators(s.true), s.operators(s.start)
    print(F0.model, s.src, s.rec, sep="\n")

    layer, earth = Layer(F0), Earth(torch.from_numpy(s.start.astype("float32")))
    q = torch.from_numpy(so.ricker(s.src, f0))
    d = torch.from_numpy(F @ q.numpy())
    scale = (d - torch.from_numpy(F0 @ q.numpy())).square().sum()
    optimiser = torch.optim.Adam(earth.parameters(), lr=3e-3)
    misfits = []
    with trange(args.iterations, bar_format="{bar:30} {n_fmt}/{total_fmt} [{elapsed}] {postfix}") as steps:
        for _ in steps:
            optimiser.zero_grad()
            vp, vs = earth()
            misfit = (layer(q, vp=vp, vs=vs) - d).square().sum() / scale
            misfit.backward()
            optimiser.step()
            misfits.append(misfit.item())
            steps.set_postfix_str(f"misfit {misfits[-1]:.4f}")

    figure, axes = plt.subplots(2, 3, figsize=(15, 9), layout="constrained")
    s.compare(axes, earth().detach().numpy())
    so.plot.shot(s.rec, d.numpy()[:, 1], axes[0, 2], i=s.src.nsrc // 4, title="velocity along z")
    so.plot.convergence({"Adam": misfits}, axes[1, 2], title="convergence", label="relative misfit")
    save(figure, args, "elastic_network.png")


if __name__ == "__main__":
    main()
