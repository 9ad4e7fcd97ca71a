"""Extended-source inversion: the weights w(x) of a source with a known wavelet, from data, in PyLops' LSQR.

E = Pr A Pw.H turns weights into data; E w = d is solved for two hidden bodies that radiate together.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pylops

import seisops as so
from seisops.scene import arguments, draw_in_files, relative_error, save, scene


def main() -> None:
    draw_in_files()
    args = arguments(__doc__, shots=1, iterations=30)
    s = scene(args, smoothing=100.0)
    model = s.model(s.v0)
    nx, nz = model.shape
    x, z = np.meshgrid(np.linspace(0, 1, nx), np.linspace(0, 1, nz), indexing="ij")
    bodies = ((0.35, 0.55, 1.0), (0.65, 0.45, -0.7))
    w = sum(a * np.exp(-((x - cx) ** 2 * 900 + (z - cz) ** 2 * 400)) for cx, cz, a in bodies)[None]

    wavelet = so.ricker(s.rec, s.f0)[0, 0]
    Pr, A, Pw = so.Projection(model, s.rec), so.Modeling(model, s.rec), so.LRWF(model, s.rec, wavelet)
    E = Pr @ A @ Pw.H
    print(model, E, sep="\n")
    d = E @ w.astype(np.float32)
    noise = np.random.default_rng(0).standard_normal(d.shape) * 0.05 * d.std()
    d = d + noise.astype(d.dtype)

    back = E.H @ d
    solved = pylops.optimization.basic.lsqr(E, d.ravel(), np.zeros(E.shape[1], d.dtype),
                                            niter=args.iterations)[0]  # fmt: skip
    solved = solved.reshape(E.dims)
    residual = float(np.linalg.norm(E @ solved - d) / np.linalg.norm(d))
    print(f"relative error of the weights: {relative_error(solved, w):.3f}; what is left of the data: {residual:.3f}")
    print("(the noise is 0.05 of the data)")

    figure, axes = plt.subplots(2, 2, figsize=(13, 7.5), layout="constrained")
    ax = axes.ravel()
    so.plot.section(model, w[0], ax[0], title="true weights", label="w", clip=99.5)
    so.plot.section(model, back[0], ax[1], title="back-propagated, E.H d", label="E.H d", clip=99.5)
    so.plot.section(model, solved[0], ax[2], title=f"LSQR, {args.iterations} iterations", label="w", clip=99.5)
    so.plot.shot(s.rec, d, ax[3], title="data")
    save(figure, args, "extended_source.png")


if __name__ == "__main__":
    main()
