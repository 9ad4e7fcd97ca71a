"""Elastic full-waveform inversion: both velocities of a solid from records of two components.

Between two wells P waves see one pair of bodies and S waves another. L-BFGS-B seeks vp and vs at once, as weighted
changes relative to where they start, so that both of them move. Two frequency bands, the lower first.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import seisops as so
from seisops.scene import draw_in_files, minimised, parser, save, wells

# Changes of vp do less to the data, so that their unknowns do more to vp.
WEIGHT = np.array([2.0, 1.0])[:, None, None]
BANDS = {"7 Hz": 0.007, "14 Hz": 0.014}


def main() -> None:
    draw_in_files()
    reading = parser(__doc__, shots=10, iterations=15)
    reading.set_defaults(cells=(61, 61))
    args = reading.parse_args()
    s = wells(args, min(BANDS.values()))
    F, F0 = s.operators(s.true), s.operators(s.start)
    print(F.model, s.src, s.rec, sep="\n")

    scale = WEIGHT * s.start
    # vp below what the time step is made for, vs below what a solid can have.
    bounds = [(-0.2 / w, 0.18 / w) for w in np.broadcast_to(WEIGHT, s.start.shape).flat]
    x, curves = np.zeros(s.start.shape), {}
    for name, f0 in BANDS.items():
        q = so.ricker(s.src, f0)
        d = F @ q

        def objective(x, q=q, d=d):
            vp, vs = s.start + scale * x
            value, gradient = so.fwi(F0.at(vp=vp, vs=vs), q, d, wrt=("vp", "vs"))
            return value, scale * gradient

        x, curves[name] = minimised(objective, x, bounds, args.iterations, name)
    result = s.start + scale * x

    figure, axes = plt.subplots(2, 4, figsize=(20, 9), layout="constrained")
    s.compare(axes, result)
    middle, left = s.src.nsrc // 4, d - s.operators(result) @ q
    for k, name in enumerate("xz"):
        so.plot.shot(s.rec, d[:, k], axes[k, 2], i=middle, title=f"velocity along {name}")
    so.plot.shot(s.rec, left[:, 1], axes[0, 3], i=middle, title="what the result leaves, z", like=d[:, 1])
    so.plot.convergence(curves, axes[1, 3], title="convergence", label="relative misfit")
    save(figure, args, "elastic_fwi.png")


if __name__ == "__main__":
    main()
