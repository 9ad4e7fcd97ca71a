"""Shots a second against workers, and time against the size of the grid: python benchmarks/scaling.py [--large]"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np

import seisops as so


def modelling(shape, *, nsrc: int, steps: int, spacing: float = 10.0):
    """F, its source and data for shots along the top of a gradient model."""
    v = np.broadcast_to(np.linspace(1.5, 3.5, shape[-1]), shape)
    model = so.Model(v=v, spacing=spacing)
    t = (steps - 17) * model.dt
    x = np.linspace(40.0, (shape[0] - 5) * spacing, nsrc)
    x = np.rint(x / spacing) * spacing
    y = spacing * (shape[1] // 2) if len(shape) == 3 else None
    src = so.Geometry.line(x, y=y, depth=2 * spacing, dt=4.0, t=t)
    rec = so.Geometry.spread(x, y=y, depth=2 * spacing, nsrc=nsrc, dt=4.0, t=t)
    F = so.modeling(model, src, rec)
    return F, so.ricker(src, f0=0.008), np.zeros(F.dimsd, np.float32)


def timed(call, repeat: int = 3) -> float:
    """The median time, after one call that compiles."""
    call()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def workers() -> None:
    """FWI gradients of 8 shots on one worker and on more."""
    F, q, d = modelling((401, 201), nsrc=8, steps=1500)
    n = len(os.sched_getaffinity(0))
    one = None
    print("FWI gradient, 8 shots, 401 x 201, 1500 steps")
    print(f"{'executor':28} {'shots/s':>8} {'speed-up':>9}")
    for count in sorted({1, 2, n}):
        for kind in ("threads", "processes"):
            if kind == "threads":
                pool = ThreadPoolExecutor(count)
            else:
                pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"))
            with pool, so.config(executor=pool):
                seconds = timed(lambda: so.fwi(F, q, d))
            one = one or seconds
            print(f"{f'{count} {kind}':28} {8 / seconds:8.2f} {one / seconds:9.2f}")


def sizes(large: bool) -> None:
    """Forward modelling and gradient of one shot, by the cells of the grid."""
    print("\none shot, 300 steps")
    print(f"{'grid':16} {'forward (s)':>12} {'gradient (s)':>13} {'ns a cell and step':>20}")
    shapes = [(n, n) for n in (200, 400, 800, 1600)] + [(n, n, n) for n in ((64, 96, 128, 192) if large else (64, 96))]
    for shape in shapes:
        F, q, d = modelling(shape, nsrc=1, steps=300)
        forward, gradient = timed(lambda F=F, q=q: F @ q), timed(lambda F=F, q=q, d=d: so.fwi(F, q, d))
        cells = np.prod(F.model.padded_shape)
        name = " x ".join(map(str, shape))
        print(f"{name:16} {forward:12.3f} {gradient:13.3f} {forward / cells / 300 * 1e9:20.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="up to 192³, which takes 20 GB for the gradient")
    args = parser.parse_args()
    workers()
    sizes(args.large)
    print("\nmemory against storage: benchmarks/storage.py")


if __name__ == "__main__":
    main()
