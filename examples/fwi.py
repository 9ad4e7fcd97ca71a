"""Full-waveform inversion: value and gradient of `so.fwi` in SciPy's L-BFGS-B, with bounds.

Two frequency bands, the lower first; the water is held by its bounds.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import seisops as so
from seisops.scene import arguments, draw_in_files, minimised, relative_error, save, scene


def main() -> None:
    draw_in_files()
    args = arguments(__doc__, shots=12, iterations=12)
    s = scene(args, smoothing=130.0)
    F, F0 = s.operators(s.v), s.operators(s.v0)
    print(F0.model, s.src, s.rec, sep="\n")

    m0 = F0.model.m.astype(float)
    slowest, fastest = 1 / (0.95 * s.v.min()) ** 2, 1 / (1.1 * s.v.max()) ** 2
    lower = np.where(s.water, m0, fastest).ravel()
    upper = np.where(s.water, m0, slowest).ravel()
    bounds = list(zip(lower, upper, strict=True))
    m, curves = m0, {}
    for f0 in (0.45 * s.f0, 0.8 * s.f0):
        q = so.ricker(s.src, f0)
        d = F @ q
        name = f"{1000 * f0:.1f} Hz"
        m, curves[name] = minimised(lambda m, q=q, d=d: so.fwi(F0.at(m=m), q, d), m, bounds, args.iterations, name)
    v = 1 / np.sqrt(m)
    print(f"relative velocity error: {relative_error(s.v0, s.v):.4f} before, {relative_error(v, s.v):.4f} after")

    figure, axes = plt.subplots(2, 3, figsize=(17, 7.5), layout="constrained")
    ax = axes.ravel()
    pictures = {"true velocity": s.v, "start": s.v0, "result": v}
    for a, (name, picture) in zip(ax, pictures.items(), strict=False):
        survey = (s.src,) if name == "true velocity" else ()
        limits = (s.v.min(), s.v.max())
        so.plot.section(F.model, picture, a, title=name, label="km/s", limits=limits, survey=survey)
    middle = s.src.nsrc // 2
    so.plot.shot(s.rec, d, ax[3], i=middle, title=f"data, {name} band" if name in curves else "data")
    so.plot.shot(s.rec, d - F0.at(m=m) @ q, ax[4], i=middle, title="what the result leaves", like=d)
    so.plot.convergence(curves, ax[5], title="convergence", label="relative misfit")
    save(figure, args, "fwi.png")


if __name__ == "__main__":
    main()
