"""Full-waveform inversion in PyTorch: by one of its optimisers, on the scene of `fwi.py`.

The velocity is an ordinary parameter, the water is held by its bounds, and everything else is the usual loop.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch
from seisops_torch import Layer, VelocityModel
from tqdm import trange

import seisops as so
from seisops.scene import arguments, draw_in_files, relative_error, save, scene


def main() -> None:
    draw_in_files()
    args = arguments(__doc__, shots=12, iterations=15)
    s = scene(args, smoothing=130.0)
    F, F0 = s.operators(s.v), s.operators(s.v0)
    print(F0.model, s.src, s.rec, sep="\n")
    slowest = np.where(s.water, s.v0, 0.95 * s.v.min())
    fastest = np.where(s.water, s.v0, 1.1 * s.v.max())

    layer, earth = Layer(F0), VelocityModel(F0.model, bounds=(slowest, fastest))
    curves = {}
    for f0 in (0.45 * s.f0, 0.8 * s.f0):
        q = torch.from_numpy(so.ricker(s.src, f0).astype("float32"))
        d = Layer(F)(q)
        optimiser = torch.optim.Adam(earth.parameters(), lr=0.03)
        misfits = curves[f"{1000 * f0:.1f} Hz"] = []
        for _ in trange(args.iterations, desc=f"{1000 * f0:.1f} Hz"):
            optimiser.zero_grad()
            misfit = 0.5 * (layer(q, m=earth()) - d).square().sum()
            misfit.backward()
            optimiser.step()
            misfits.append(misfit.item())
    v = (earth() ** -0.5).detach().numpy()
    print(f"relative velocity error: {relative_error(s.v0, s.v):.4f} before, {relative_error(v, s.v):.4f} after")

    figure, axes = plt.subplots(2, 2, figsize=(12, 7.5), layout="constrained")
    ax = axes.ravel()
    for a, (name, picture) in zip(ax, {"true velocity": s.v, "start": s.v0, "result": v}.items(), strict=False):
        so.plot.section(F.model, picture, a, title=name, label="km/s", limits=(s.v.min(), s.v.max()))
    relative = {name: np.array(misfits) / misfits[0] for name, misfits in curves.items()}
    so.plot.convergence(relative, ax[3], title="convergence", label="relative misfit")
    save(figure, args, "fwi_torch.png")


if __name__ == "__main__":
    main()
