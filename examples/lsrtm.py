"""Least-squares migration: the Jacobian of the modelling operator in PyLops' solvers.

The data are what a smooth model does not explain. One application of J.H is a migration (RTM);
CGLS and FISTA invert J.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pylops
from pylops.optimization.basic import CGLS
from pylops.optimization.callback import Callbacks
from pylops.optimization.cls_sparsity import FISTA
from tqdm import tqdm

import seisops as so
from seisops.scene import arguments, draw_in_files, relative_error, save, scene


class Progress(Callbacks):
    """A bar with the relative residual, which it also keeps."""

    def __init__(self, name: str, d) -> None:
        self.name, self.norm, self.residuals = name, np.linalg.norm(d), [1.0]

    def on_run_begin(self, solver, x) -> None:
        self.bar = tqdm(total=solver.niter, desc=f"{self.name:5}", bar_format="{desc} {bar:30} {n_fmt}/{total_fmt}"
                        " [{elapsed}] {postfix}")  # fmt: skip

    def on_step_end(self, solver, x) -> None:
        if isinstance(solver, FISTA):
            residual = np.sqrt(2 * (solver.cost[-1] - solver.eps * np.abs(x).sum()))
        else:
            residual = np.linalg.norm(solver.s)
        self.residuals.append(float(residual / self.norm))
        self.bar.set_postfix_str(f"residual {self.residuals[-1]:.3f}")
        self.bar.update()

    def on_run_end(self, solver, x) -> None:
        self.bar.close()


def largest_eigenvalue(J, iterations: int = 5) -> float:
    """Of J.H J, by the power method: the step length of FISTA."""
    x = np.random.default_rng(0).standard_normal(J.shape[1]).astype(J.dtype)
    for _ in tqdm(range(iterations), desc="step ", bar_format="{desc} {bar:30} {n_fmt}/{total_fmt} [{elapsed}]"):
        x = J.rmatvec(J.matvec(x / np.linalg.norm(x)))
    return float(np.linalg.norm(x))


def main() -> None:
    draw_in_files()
    args = arguments(__doc__, shots=8, iterations=12)
    s = scene(args, smoothing=40.0)
    F, F0 = s.operators(s.v), s.operators(s.v0)
    q = so.ricker(s.src, s.f0)
    print(F0.model, s.src, s.rec, f"peak frequency {1000 * s.f0:.1f} Hz", sep="\n")

    d = F @ q - F0 @ q
    # The water is known: only what lies below it is sought.
    below = pylops.Diagonal((~s.water).ravel().astype("float32"), dtype="float32")
    J = so.Jacobian(F0, q) @ below
    dm = F.model.m - F0.model.m
    d = d.ravel()

    rtm = J.rmatvec(d)
    Jr = J.matvec(rtm)
    rtm = rtm * np.vdot(Jr, d) / np.vdot(Jr, Jr)
    progress = [Progress("CGLS", d), Progress("FISTA", d)]
    with pylops.disabled_ndarray_multiplication():
        cgls = CGLS(J, callbacks=progress[:1]).solve(d, niter=args.iterations, tol=0)[0]
        step = 0.9 / largest_eigenvalue(J)
        threshold = 1e-3 * np.abs(cgls).max()
        sparse = FISTA(J, callbacks=progress[1:]).solve(d, niter=args.iterations, eps=2 * threshold / step, alpha=step)[
            0
        ]

    images = {"migration (J.H)": rtm, f"CGLS, {args.iterations} iterations": cgls,
              f"FISTA, {args.iterations} iterations": sparse}  # fmt: skip
    print("relative model error: 1.000 before")
    for name, image in images.items():
        residual = np.linalg.norm(J.matvec(image) - d) / np.linalg.norm(d)
        print(f"  {name:24} {relative_error(image, dm):.3f}   relative residual {residual:.3f}")

    figure, axes = plt.subplots(3, 3, figsize=(17, 11), layout="constrained")
    ax = axes.ravel()
    model, bar = F0.model, "dm (s²/km²)"
    speeds = (s.v.min(), s.v.max())
    so.plot.section(model, s.v, ax[0], title="true velocity", label="km/s", limits=speeds, survey=(s.src,))
    so.plot.section(model, s.v0, ax[1], title="background velocity", label="km/s", limits=speeds)
    so.plot.section(model, dm, ax[2], title="true perturbation", label=bar, clip=99)
    for a, (name, image) in zip(ax[3:6], images.items(), strict=True):
        so.plot.section(model, np.reshape(image, model.shape), a, title=name, label=bar, clip=99)
    middle = s.src.nsrc // 2
    so.plot.shot(s.rec, d, ax[6], i=middle, title="residual of the background")
    so.plot.shot(s.rec, d - J.matvec(cgls), ax[7], i=middle, title="residual of CGLS", like=d)
    so.plot.convergence({p.name: p.residuals for p in progress}, ax[8], title="convergence")
    save(figure, args, "lsrtm.png")


if __name__ == "__main__":
    main()
