"""Whole products against the compiled kernels they run: what is spent outside the stencil.

Interleaved, the median of the ratios: python benchmarks/overhead.py [--cells 401 201] [--steps 1500]
"""

from __future__ import annotations

import argparse
import time

import devito
import numpy as np

import seisops as so

kernel_time = 0.0
compiled = devito.Operator.cfunction.fget


def timed(self):
    """The compiled function of an operator, which adds what it takes to `kernel_time`."""

    def call(*arguments):
        global kernel_time
        start = time.perf_counter()
        status = compiled(self)(*arguments)
        kernel_time += time.perf_counter() - start
        return status

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs=2, default=(401, 201))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--receivers", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=9)
    args = parser.parse_args()

    nx, nz = args.cells
    model = so.Model(v=np.linspace(1.5, 4.0, nz) * np.ones((nx, 1)), spacing=10.0)
    t = (args.steps - 17) * model.dt
    x = np.linspace(23.0, (nx - 1) * 10 - 23.0, args.receivers)
    src = so.Geometry.line(x[len(x) // 2] + 1.7, depth=23.0, dt=4.0, t=t)
    rec = so.Geometry.spread(x, depth=33.0, nsrc=1, dt=4.0, t=t)
    F = so.modeling(model, src, rec)
    q = so.ricker(src, f0=0.010)
    d, J = F.linearize(q)
    dm = 0.01 * model.m
    products = {"F @ q": lambda: F @ q, "F.linearize(q)": lambda: F.linearize(q), "J @ dm": lambda: J @ dm,
                "J.H @ d": lambda: J.H @ d}  # fmt: skip
    for product in products.values():
        product()
    devito.Operator.cfunction = property(timed)
    global kernel_time
    times = {name: [] for name in products}
    for _ in range(args.repeat):
        for name, product in products.items():
            kernel_time, start = 0.0, time.perf_counter()
            product()
            times[name].append((time.perf_counter() - start, kernel_time))
    print(model, rec, f"{F.factors[1].nt} steps", sep="\n")
    print(f"{'product':16} {'whole (s)':>10} {'kernel (s)':>10} {'whole/kernel':>13}")
    for name, pairs in times.items():
        whole, kernel = np.array(pairs).T
        print(f"{name:16} {np.median(whole):10.3f} {np.median(kernel):10.3f} {np.median(whole / kernel):13.3f}")


if __name__ == "__main__":
    main()
