"""Velocity analysis: the loss is what an image has away from zero offset, and the derivative goes through the imaging.

Reflections are imaged with subsurface offsets h. In the right velocity the image I is focused at h = 0; its spread ::

    |h I|² / |I|²,    I = J_h(v).H d,

is differential semblance (Symes and Carazzone, 1991, Geophysics 56), normalised so that a fainter image is no better.
PyTorch back-propagates it through the adjoint of the extended Jacobian to the velocity, which starts a tenth too slow
and without the anomaly that is sought. It changes smoothly: first as a whole, then in more detail, as focusing alone
would soon be bought with bodies that are not there. The data are Born data without noise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import CenteredNorm
from seisops_torch import Layer
from torch import Tensor
from torch.nn.functional import interpolate

import seisops as so
from seisops.scene import draw_in_files, minimised, relative_error, save

SPACING, F0 = 15.0, 0.015
# Knots of the change along x and z, from coarse to fine, and the price of a change that is not everywhere the same.
LEVELS, ROUGHNESS = ((2, 2), (3, 3), (5, 4)), 0.2


def earth(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The velocity with an anomaly, the start, and reflectors: dm in s²/km²."""
    x, z = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    trend = 1.8 + 0.9 * z
    v = trend + 0.25 * np.exp(-(((x - 0.5) / 0.2) ** 2) - ((z - 0.45) / 0.2) ** 2)
    dm = np.zeros(shape)
    for depth, dip, sign in ((0.3, 0.04, 1), (0.45, -0.06, -1), (0.6, 0.05, 1), (0.75, -0.03, 1), (0.88, 0.04, -1)):
        dm += 0.02 * sign * np.exp(-0.5 * ((z - depth - dip * (x - 0.5)) * (shape[1] - 1)) ** 2)
    return v, 0.9 * trend, dm


def survey(v: np.ndarray, shots: int) -> so.algebra.SeismicOperator:
    """The Jacobian of a line of shots, between the nodes as in the field."""
    width, depth = (np.array(v.shape) - 1) * SPACING
    model = so.Model(v=v, spacing=SPACING, vmax=3.4)
    t = round((2.2 * depth + 0.3 * width) / 2.0 + 150, -1)
    src = so.Geometry.line(np.linspace(60.0, width - 60.0, shots) + 2.3, depth=20.0, dt=4.0, t=t)
    rec = so.Geometry.spread(np.linspace(20.0, width - 20.0, 60), depth=30.0, nsrc=shots, dt=4.0, t=t)
    return so.Jacobian(so.modeling(model, src, rec), so.ricker(src, F0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs=2, default=(121, 61))
    parser.add_argument("--shots", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=5, help="on each level of detail")
    parser.add_argument("--offsets", type=int, default=10, help="largest half offset, in cells")
    parser.add_argument("--output", type=Path, default=Path("pictures"))
    args = parser.parse_args()
    draw_in_files()

    v, start, dm = earth(tuple(args.cells))
    J = survey(v, args.shots)
    print(J, J.model, sep="\n")
    d = torch.from_numpy(J @ dm)
    imaging = Layer(so.imaging.subsurface_offsets(J, args.offsets).H)
    h = torch.linspace(-1, 1, 2 * args.offsets + 1)[:, None, None]
    # The brighter shallow part would have the last word otherwise.
    depth = torch.linspace(0, 1, v.shape[1])
    began = torch.from_numpy(start).to(d.dtype)

    def image(v: Tensor) -> Tensor:
        return depth * imaging(d, v=v)

    def changed(change: Tensor, knots: Tensor) -> Tensor:
        """The logarithm of v over the start, changed by bicubic interpolation between knots."""
        return change + interpolate(knots[None, None], v.shape, mode="bicubic", align_corners=True)[0, 0]

    def semblance(knots: np.ndarray) -> tuple[float, np.ndarray]:
        x = torch.from_numpy(knots).to(d.dtype).requires_grad_()
        log = changed(change, x)
        focus = image(began * torch.exp(log))
        roughness = log.diff(dim=0).square().sum() + log.diff(dim=1).square().sum()
        value = (h * focus).square().sum() / focus.square().sum() + ROUGHNESS * roughness
        value.backward()
        return value.item(), x.grad.numpy().astype(float)

    change = torch.zeros(v.shape)
    scaled = start * np.vdot(start, v) / np.vdot(start, start)
    print(f"error of the velocity: {100 * relative_error(start, v):.1f} % at the start")
    print(f"of its best multiple, which only who knows the truth can choose: {100 * relative_error(scaled, v):.1f} %")
    for shape in LEVELS:
        knots, name = np.zeros(shape), "{} x {} knots".format(*shape)
        knots, _ = minimised(semblance, knots, [(-0.2, 0.25)] * knots.size, args.iterations, name)
        change = changed(change, torch.from_numpy(knots).to(d.dtype))
        found = (began * torch.exp(change)).numpy()
        print(f"error of the velocity: {100 * relative_error(found, v):.1f} % with {name}")

    figure, axes = plt.subplots(2, 3, figsize=(16, 7), layout="constrained")
    line, reach = v.shape[0] // 2, args.offsets * SPACING
    limits = (float(start.min()), float(v.max()))
    for (top, bottom), name, x in zip(axes.T, ("true", "start", "found"), (v, start, found), strict=True):
        so.plot.section(J.model, x, top, title=f"velocity: {name}", label="km/s", limits=limits)
        gather = image(torch.from_numpy(x).to(d.dtype)).numpy()[:, line].T
        shown = {"cmap": "gray", "norm": CenteredNorm(), "aspect": "auto", "interpolation": "bilinear"}
        bottom.imshow(gather, extent=(-reach, reach, (v.shape[1] - 1) * SPACING / 1000, 0), **shown)
        bottom.set(xlabel="half offset (m)", ylabel="depth (km)", title="image gather in the middle")
    save(figure, args, "velocity_analysis.png")


if __name__ == "__main__":
    main()
