"""Elastic full-waveform inversion: both velocities of a solid from records of two components.

Between two wells P waves see one pair of bodies and S waves another. L-BFGS-B seeks vp and vs at once, as weighted
changes relative to where they start, so that both of them move. Two frequency bands, the lower first.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

import seisops as so
from seisops.scene import parser, save, wells

WRT = ("vp", "vs")
# Changes of vp do less to the data, so that their unknowns do more to vp.
WEIGHT = np.array([2.0, 1.0])[:, None, None]
BANDS = {"7 Hz": 0.007, "14 Hz": 0.014}


def invert(F0, start, d, q, x: np.ndarray, iterations: int, name: str) -> tuple[np.ndarray, list[float]]:
    """L-BFGS-B in the relative changes of the velocities; where it ends, and the misfit over the first."""
    scale, values, first = WEIGHT * start, [1.0], []

    def objective(x):
        p = start + scale * x.reshape(start.shape)
        value, gradient = so.fwi(F0.at(**dict(zip(WRT, p, strict=True))), q, d, wrt=WRT)
        first.append(value)
        return value / first[0], (scale * gradient).ravel() / first[0]

    form = "{desc:6} {bar:30} {n_fmt}/{total_fmt} [{elapsed}] {postfix}"
    with tqdm(total=iterations, desc=name, bar_format=form) as bar:

        def show(intermediate_result):
            values.append(float(intermediate_result.fun))
            bar.set_postfix_str(f"misfit {values[-1]:.4f}")
            bar.update()

        # vp below what the time step is made for, vs below what a solid can have.
        bounds = [(-0.2 / w, 0.18 / w) for w in np.broadcast_to(WEIGHT, x.shape).flat]
        options = {"maxiter": iterations, "maxcor": 10, "ftol": 0, "gtol": 0}
        result = minimize(objective, x.ravel(), jac=True, method="L-BFGS-B", bounds=bounds, callback=show,
                          options=options)  # fmt: skip
    return result.x.reshape(x.shape), values


def main() -> None:
    plt.switch_backend("Agg")  # a picture in a file needs no display
    reading = parser(__doc__, shots=10, iterations=15)
    reading.set_defaults(cells=(61, 61))
    args = reading.parse_args()
    s = wells(args, min(BANDS.values()))
    F, F0 = s.operators(s.true), s.operators(s.start)
    print(F.model, s.src, s.rec, sep="\n")

    x, curves = np.zeros(s.start.shape), {}
    for name, f0 in BANDS.items():
        q = so.ricker(s.src, f0)
        d = F @ q
        x, curves[name] = invert(F0, s.start, d, q, x, args.iterations, name)
    result = s.start * (1 + WEIGHT * x)
    for name, left in zip(WRT, s.left(result), strict=True):
        print(f"error of {name}: {100 * left:.1f} % of that at the start")

    figure, axes = plt.subplots(2, 4, figsize=(20, 9), layout="constrained")
    changes = {"true": s.true / s.start - 1, "found": result / s.start - 1}
    limit = 100 * np.abs(changes["true"]).max()
    for k, name in enumerate(WRT):
        for ax, (which, change) in zip(axes[k], changes.items(), strict=False):
            so.plot.section(F.model, 100 * change[k], ax, title=f"{name}, {which}", label="change (%)",
                            limits=(-limit, limit), survey=(s.src, s.rec) if which == "true" else ())  # fmt: skip
            ax.images[0].set_cmap("RdBu_r")
    middle, left = s.src.nsrc // 4, d - s.operators(result) @ q
    for k, name in enumerate("xz"):
        so.plot.shot(s.rec, d[:, k], axes[k, 2], i=middle, title=f"velocity along {name}")
    so.plot.shot(s.rec, left[:, 1], axes[0, 3], i=middle, title="what the result leaves, z", like=d[:, 1])
    so.plot.convergence(curves, axes[1, 3], title="convergence", label="relative misfit")
    save(figure, args, "elastic_fwi.png")


if __name__ == "__main__":
    main()
