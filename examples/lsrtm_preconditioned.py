"""Least-squares migration with preconditioners: the same iterations, a better image.

The unknown is p in dm = M p, where M mutes the water and evens out how the sources illuminate the earth. Both runs
are judged by the same number, the part of the data that J dm does not explain.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pylops
from pylops.optimization.basic import CGLS
from pylops.optimization.callback import Callbacks
from tqdm import tqdm

import seisops as so
from seisops import preconditioners as pre
from seisops.scene import arguments, draw_in_files, relative_error, save, scene


class Progress(Callbacks):
    """A bar with the relative residual, which it also keeps."""

    def __init__(self, name: str, d) -> None:
        self.name, self.norm, self.residuals = name, np.linalg.norm(d), [1.0]

    def on_run_begin(self, solver, x) -> None:
        self.bar = tqdm(total=solver.niter, desc=self.name, bar_format="{desc} {bar:30} {n_fmt}/{total_fmt} {postfix}")

    def on_step_end(self, solver, x) -> None:
        self.residuals.append(float(np.linalg.norm(solver.s) / self.norm))
        self.bar.set_postfix_str(f"residual {self.residuals[-1]:.3f}")
        self.bar.update()

    def on_run_end(self, solver, x) -> None:
        self.bar.close()


def main() -> None:
    draw_in_files()
    args = arguments(__doc__, shots=8, iterations=20)
    s = scene(args, smoothing=40.0)
    F = s.operators(s.v0)
    q = so.ricker(s.src, s.f0)
    model = F.model
    print(model, s.src, s.rec, f"peak frequency {1000 * s.f0:.1f} Hz", sep="\n")

    J = so.Jacobian(F, q)
    dm = s.model(s.v).m - model.m
    d = (J @ dm).ravel()

    sea_floor = s.water.sum(axis=1) * s.spacing[-1]
    A, Ps = so.Modeling(model, s.rec), so.Projection(model, s.src)
    M = pre.top_mute(model, sea_floor) @ pre.illumination(A @ Ps.H, q)

    images, progress = {}, [Progress("plain", d), Progress("M", d)]
    with pylops.disabled_ndarray_multiplication():
        images["CGLS, plain"] = CGLS(J, callbacks=progress[:1]).solve(d, niter=args.iterations, tol=0)[0]
        p = CGLS(so.compose(J @ M), callbacks=progress[1:]).solve(d, niter=args.iterations, tol=0)[0]
    images["CGLS, preconditioned"] = M.matvec(p)
    _, gradient = so.lsrtm(J, d, model_precon=M)
    migrated = M.matvec(-gradient.ravel().astype(model.dtype))
    modelled = J.matvec(migrated)
    images = {"migration, preconditioned": migrated * np.vdot(modelled, d) / np.vdot(modelled, modelled)} | images

    print("relative model error: 1.000 before")
    left = {}
    for name, image in images.items():
        left[name] = d - J.matvec(image)
        residual = np.linalg.norm(left[name]) / np.linalg.norm(d)
        print(f"  {name:26} {relative_error(image, dm):.3f}   relative residual {residual:.3f}")

    figure, axes = plt.subplots(3, 3, figsize=(17, 11), layout="constrained")
    ax = axes.ravel()
    so.plot.section(model, s.v0, ax[0], title="background velocity", label="km/s", survey=(s.src,))
    weights = (M @ np.ones(model.shape, model.dtype)).reshape(model.shape)
    so.plot.section(model, weights, ax[1], title="weights of the preconditioner", label="")
    for a, (name, image) in zip(ax[2:6], {"true perturbation": dm, **images}.items(), strict=True):
        limit = float(np.percentile(np.abs(dm), 99))
        so.plot.section(
            model, np.reshape(image, model.shape), a, title=name, label="dm (s²/km²)", clip=99, limits=(-limit, limit)
        )
    middle = s.src.nsrc // 2
    for a, name in zip(ax[6:8], list(images)[1:], strict=True):
        so.plot.shot(s.rec, left[name], a, i=middle, title=f"data left by {name}", like=0.1 * d)
    so.plot.convergence({"plain": progress[0].residuals, "preconditioned": progress[1].residuals}, ax[8],
                        title="convergence")  # fmt: skip
    save(figure, args, "lsrtm_preconditioned.png")


if __name__ == "__main__":
    main()
