"""Adjoints and times on the platform Devito is configured for, a GPU above all: python benchmarks/gpu_check.py

With NVIDIA's compiler: DEVITO_PLATFORM=nvidiaX DEVITO_ARCH=nvc DEVITO_LANGUAGE=openacc python benchmarks/gpu_check.py
With clang's offloading: DEVITO_PLATFORM=nvidiaX DEVITO_ARCH=clang DEVITO_LANGUAGE=openmp python benchmarks/gpu_check.py
"""

from __future__ import annotations

import argparse
import time

import devito
import numpy as np

import seisops as so

# What rounding leaves of a dot test in single and in double precision.
BARS = {"float32": 1e-5, "float64": 1e-12}
SIZES = {"2-D": [(401, 201), (1601, 801)], "3-D": [(96, 96, 96), (192, 192, 192)]}


def modelling(shape, dtype: str, steps: int):
    """F and its source for one shot in a random model."""
    rng = np.random.default_rng(0)
    model = so.Model(v=rng.uniform(1.5, 3.0, shape), spacing=10.0, dtype=dtype)
    t = (steps - 17) * model.dt
    extent = (np.array(shape) - 1) * 10.0
    src = so.Geometry([rng.uniform(0.2, 0.8, (1, len(shape))) * extent], dt=4.0, t=t)
    rec = so.Geometry([rng.uniform(0.1, 0.9, (100, len(shape))) * extent], dt=4.0, t=t)
    F = so.modeling(model, src, rec)
    return F, so.ricker(src, f0=0.010)


def seconds(call) -> float:
    """The best of three, after one that compiles."""
    call()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="the smaller grid of each dimension alone")
    args = parser.parse_args()
    print(*(f"{key} {devito.configuration[key]}" for key in ("platform", "compiler", "language")))
    passed = True
    for shape in ((61, 51), (31, 29, 33)):
        for dtype, bar in BARS.items():
            F, q = modelling(shape, dtype, 200)
            for op in (F, F.H, F.jacobian(q), F.jacobian(q).H):
                error = so.checks.dot_test(op, verbose=False)
                passed &= error <= bar
                print(f"dot test {dtype} {op!r:55} {error:.1e} {'ok' if error <= bar else 'WRONG'}")
    for name, shapes in SIZES.items():
        for shape in shapes[: 1 if args.small else None]:
            F, q = modelling(shape, "float32", 500)
            d = np.zeros(F.dimsd, np.float32)
            forward, gradient = seconds(lambda F=F, q=q: F @ q), seconds(lambda F=F, q=q, d=d: so.fwi(F, q, d))
            print(f"{name} {' x '.join(map(str, shape)):16} 500 steps: F {forward:.3f} s, gradient {gradient:.3f} s")
    raise SystemExit(0 if passed else 1)


if __name__ == "__main__":
    main()
