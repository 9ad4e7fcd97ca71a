"""Images by subsurface offset: where the background velocity is right, reflectors gather at zero offset.

The same records are migrated in three backgrounds: too slow, right, too fast.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import seisops as so
from seisops.scene import arguments, draw_in_files, save, scene

FACTORS = {"8 % too slow": 0.92, "right": 1.0, "8 % too fast": 1.08}


def main() -> None:
    draw_in_files()
    args = arguments(__doc__, shots=24, iterations=0)
    s = scene(args, smoothing=60.0)
    F, F0 = s.operators(s.v), s.operators(s.v0)
    q = so.ricker(s.src, s.f0)
    print(F0.model, s.src, s.rec, f"peak frequency {1000 * s.f0:.1f} Hz", sep="\n")
    d = F @ q - F0 @ q

    model, cells = F0.model, min(16, args.cells[0] // 4)
    h = model.spacing[0] * np.arange(-cells, cells + 1)
    precon, depth = so.preconditioners, model.extent[-1][1]
    # The Laplacian takes out the long waves along the paths; sources and edges leave marks of their own, the lower edge
    # what images below it.
    shown = precon.taper(model, 8 * max(model.spacing)) @ precon.top_mute(model, 0.15 * depth, taper=100.0)
    shown = shown @ precon.depth_scaling(model) @ so.imaging.laplacian(model)
    images, inside = {}, np.ones(model.shape, model.dtype)
    inside[:, -5:] = 0
    for name, factor in tqdm(FACTORS.items(), bar_format="{desc} {bar:30} {n_fmt}/{total_fmt} [{elapsed}]"):
        v = np.where(s.water, s.v0, factor * s.v0)
        J = so.imaging.subsurface_offsets(F0.at(m=v**-2.0).jacobian(q), cells)
        images[name] = np.stack([inside * (shown @ image) for image in J.H @ d])

    figure, axes = plt.subplots(3, 3, figsize=(17, 12), layout="constrained", width_ratios=(2, 1, 1))
    line = model.shape[0] // 2
    print("share of the energy of the image at half offsets of no more than one cell:")
    for (name, image), (left, middle, right) in zip(images.items(), axes, strict=True):
        energy = (image**2).sum(axis=(1, 2))
        print(f"  {name:14} {energy[np.abs(h) <= model.spacing[0]].sum() / energy.sum():.2f}")
        so.plot.section(model, image[cells], left, title=f"{name}: zero offset", clip=98)
        left.axvline((model.origin[0] + line * model.spacing[0]) / 1000, color="tab:red", lw=1)
        limit = np.percentile(np.abs(image[:, line]), 99)
        middle.imshow(image[:, line].T, extent=(h[0], h[-1], depth / 1000, 0), cmap="gray", vmin=-limit, vmax=limit,
                      aspect="auto", interpolation="bilinear")  # fmt: skip
        middle.set(xlabel="half offset (m)", ylabel="depth (km)", title="gather at the red line")
        right.plot(h, energy / energy.sum())
        right.set(xlabel="half offset (m)", title="energy of all gathers", ylim=(0, None))
    save(figure, args, "image_gathers.png")


if __name__ == "__main__":
    main()
