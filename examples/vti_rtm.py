"""Migration of anisotropic data with the right medium, and with one that takes the rock for isotropic.

Shale is faster across than along its axis, by Thomsen's epsilon and delta. The data are what the reflectors add in the
true medium. Migrated in VTI the reflectors lie where they are; migrated with the vertical velocity alone they do not.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

import seisops as so
from seisops.scene import arguments, draw_in_files, save, scene


def correlation(image: np.ndarray, dm: np.ndarray) -> float:
    """The cosine of the angle between an image and what it should be an image of."""
    return float(np.vdot(image, dm) / (np.linalg.norm(image) * np.linalg.norm(dm)))


def sharp(image: np.ndarray) -> np.ndarray:
    """Take off what is longer than reflectors are thick, which waves leave all along their way."""
    return image - gaussian_filter(image, 5.0)


def main() -> None:
    draw_in_files()
    args = arguments(__doc__, shots=16, iterations=0)
    s = scene(args, smoothing=60.0)
    # Shale from below the water on: none in the water, where sources and receivers are.
    rock = gaussian_filter(np.where(s.water, 0.0, 1.0), 4.0)
    thomsen = {"epsilon": 0.2 * rock, "delta": 0.08 * rock}
    vmax = 1.2 * s.v.max()

    def operators(v, **anisotropy):
        return so.modeling(so.Model(v=v, spacing=s.spacing, vmax=vmax, **anisotropy), s.src, s.rec)

    F, F0 = operators(s.v, **thomsen), operators(s.v0, **thomsen)
    q = so.ricker(s.src, s.f0)
    print(F0.model, s.src, s.rec, f"peak frequency {1000 * s.f0:.1f} Hz", sep="\n")
    d = F @ q - F0 @ q
    dm = F.model.m - F0.model.m

    below = ~s.water
    images = {}
    for name, op in {"VTI": F0, "isotropic": operators(s.v0)}.items():
        image = op.jacobian(q, wrt="m").H @ d
        images[name] = np.where(below, sharp(image), 0)
    print("correlation of the image with the reflectors")
    reflectors = np.where(below, sharp(dm), 0)
    for name, image in images.items():
        print(f"  {name:10} {correlation(image, reflectors):.3f}")

    figure, axes = plt.subplots(2, 2, figsize=(14, 8), layout="constrained")
    ax = axes.ravel()
    so.plot.section(F.model, s.v, ax[0], title="vertical velocity", label="km/s", survey=(s.src,))
    so.plot.section(F.model, reflectors, ax[1], title="reflectors", label="dm (s²/km²)", clip=99)
    for a, (name, image) in zip(ax[2:], images.items(), strict=True):
        so.plot.section(F.model, image, a, title=f"migration, {name}", label="J.H d", clip=99)
    save(figure, args, "vti_rtm.png")


if __name__ == "__main__":
    main()
