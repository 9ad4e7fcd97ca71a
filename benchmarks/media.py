"""Every wave equation against sound of constant density: the time of a shot with the same steps on the same grid.

Interleaved, the median of the ratios: python benchmarks/media.py [--cells 401 201] [--steps 300] [--repeat 7]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import seisops as so

SPEED, SHEAR = 2.0, 1.0
AXIS = {"epsilon": 0.2, "delta": 0.1}
SOLID = {"vp": SPEED, "vs": SHEAR, "rho": 2.0}
MEDIA = {
    "sound": {"v": SPEED},
    "sound with density": {"v": SPEED, "rho": 2.0},
    "VTI": {"v": SPEED, "rho": 2.0, **AXIS},
    "TTI": {"v": SPEED, "rho": 2.0, "theta": 30.0, **AXIS},
    "attenuating": {"v": SPEED, "rho": 2.0, "Q": 50.0},
    "elastic": SOLID,
    "elastic VTI": SOLID | AXIS,
    "viscoelastic": SOLID | {"Qp": 50.0, "Qs": 40.0},
}


def modelling(cells: tuple[int, int], steps: int, surface: bool, **parameters: float):
    """Records of a shot, all media with the same time step."""
    options = {"f_ref": 0.01} if "Q" in parameters or "Qp" in parameters else {}
    earth = {name: np.full(cells, x, np.float32) for name, x in parameters.items()}
    model = so.Model(spacing=10.0, dt=1.0, vmax=2.6, free_surface=surface, **earth, **options)
    point = so.Geometry([[[cells[0] * 5.0, 203.3]]], dt=4.0, t=steps * model.dt)
    F = so.modeling(model, point, point)
    return F, so.ricker(point, 0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs=2, default=(401, 201))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--surface", action="store_true", help="under a free surface, where there is one")
    args = parser.parse_args()

    jobs = {}
    for name, parameters in MEDIA.items():
        if not (args.surface and name == "TTI"):
            jobs[name] = modelling(tuple(args.cells), args.steps, args.surface, **parameters)
            jobs[name][0] @ jobs[name][1]
    times = {name: [] for name in jobs}
    for _ in range(args.repeat):
        for name, (F, q) in jobs.items():
            start = time.perf_counter()
            F @ q
            times[name].append(time.perf_counter() - start)
    print(jobs["sound"][0].model, f"{args.steps} steps", sep=", ")
    print(f"{'medium':20} {'over sound':>10}")
    for name, taken in times.items():
        print(f"{name:20} {np.median(np.array(taken) / times['sound']):10.1f}")


if __name__ == "__main__":
    main()
