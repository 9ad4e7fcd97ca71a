"""Adjoints, records and times on the platform Devito is configured for, a GPU above all, beside those of the CPU.

With clang's offloading: DEVITO_PLATFORM=nvidiaX DEVITO_ARCH=clang DEVITO_LANGUAGE=openmp OMP_TARGET_OFFLOAD=MANDATORY
python benchmarks/gpu_check.py; with NVIDIA's compiler: DEVITO_PLATFORM=nvidiaX DEVITO_ARCH=nvc DEVITO_LANGUAGE=openacc.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import devito
import numpy as np

import seisops as so

# What rounding leaves of a dot test in single and in double precision.
BARS = {"float32": 1e-5, "float64": 1e-12}
SOUND, SOLID = {"v": (1.5, 3.0)}, {"vp": (2.0, 3.0), "vs": (0.8, 1.2), "rho": (1.8, 2.4)}
MEDIA = {
    "sound": SOUND,
    "sound with density": SOUND | {"rho": (1.8, 2.4)},
    "TTI": SOUND | {"rho": (1.8, 2.4), "epsilon": (0.1, 0.2), "delta": (0.0, 0.1), "theta": (-40.0, 40.0)},
    "attenuating": SOUND | {"rho": (1.8, 2.4), "Q": (30.0, 80.0)},
    "elastic": SOLID,
    "viscoelastic": SOLID | {"Qp": (30.0, 80.0), "Qs": (30.0, 80.0)},
}
# In 3-D those that are tried there; kernels of the others take a while to compile.
SHAPES = {medium: [(61, 51), *([(31, 29, 33)] if medium in ("sound", "elastic") else [])] for medium in MEDIA}
# Shots that are timed, those of few bytes first; of the largest a gradient moves 19 GB to the GPU and back.
TIMED = [
    *(("sound", shape, True) for shape in [(401, 201), (96, 96, 96), (1601, 801)]),
    *(("elastic", shape, True) for shape in [(401, 201), (801, 401)]),
    ("sound", (192, 192, 192), False),
]
# Single precision, in another order.
APART = 1e-3


def modelling(medium: str, shape: tuple[int, ...], dtype: str, steps: int):
    """F and its source for one shot in a random model."""
    rng = np.random.default_rng(0)
    earth = {name: rng.uniform(*limits, shape) for name, limits in MEDIA[medium].items()}
    model = so.Model(**earth, spacing=10.0, dtype=dtype, **({"f_ref": 0.01} if {"Q", "Qp"} & set(earth) else {}))
    t = (steps - 17) * model.dt
    extent = (np.array(shape) - 1) * 10.0
    src = so.Geometry([rng.uniform(0.2, 0.8, (1, len(shape))) * extent], dt=4.0, t=t)
    rec = so.Geometry([rng.uniform(0.1, 0.9, (100, len(shape))) * extent], dt=4.0, t=t)
    return so.modeling(model, src, rec), so.ricker(src, f0=0.010)


def adjoints(medium: str) -> bool:
    """Print how far products are from their adjoints; whether all are within their bars."""
    passed = True
    for shape in SHAPES[medium]:
        for dtype, bar in BARS.items():
            F, q = modelling(medium, shape, dtype, 200)
            for name, op in (("F", F), ("J", F.jacobian(q))):
                error = so.checks.dot_test(op, verbose=False)
                passed &= error <= bar
                verdict = "ok" if error <= bar else "WRONG"
                print(f"dot test {medium:18} {len(shape)}-D {dtype} {name} {error:8.1e} {verdict}", flush=True)
    return passed


def seconds(call) -> float:
    """The best of three, after one that compiles."""
    call()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def shot(medium: str, shape: tuple[int, ...], imaged: bool) -> dict[str, np.ndarray]:
    """The record of a shot of 500 steps, the gradient if one is wanted, and what they took."""
    F, q = modelling(medium, shape, "float32", 500)
    jobs = {"F": lambda: F @ q}
    if imaged:
        jobs["gradient"] = lambda: so.fwi(F, q, np.zeros(F.dimsd, np.float32))[1]
    return {name: job() for name, job in jobs.items()} | {f"{name}, s": seconds(job) for name, job in jobs.items()}


def on_the_cpu(*job: str) -> dict[str, np.ndarray]:
    """The same shot in a process that Devito's settings do not reach."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DEVITO_")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shot.npz"
        subprocess.run([sys.executable, __file__, "--shot", path, *job], env=environment, check=True)
        with np.load(path) as file:
            return dict(file)


def compared(medium: str, shape: tuple[int, ...], imaged: bool) -> bool:
    """Print what a shot takes here and on the CPU; whether both give the same."""
    passed, here = True, shot(medium, shape, imaged)
    there = on_the_cpu(medium, "x".join(map(str, shape)), "imaged" if imaged else "modelled")
    for name in ("F", "gradient")[: 1 + imaged]:
        apart = np.linalg.norm(here[name] - there[name]) / np.linalg.norm(there[name])
        passed &= bool(apart <= APART)
        s, cpu = float(here[f"{name}, s"]), float(there[f"{name}, s"])
        size = " x ".join(map(str, shape))
        faster = f"CPU {cpu:7.3f} s ({cpu / s:.1f})"
        print(f"{medium} {size:15} {name:8} {s:7.3f} s, {faster}, {apart:.0e} apart", flush=True)
    return passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("media", nargs="*", help=f"of {', '.join(MEDIA)}; without any, all")
    parser.add_argument("--adjoints", action="store_true", help="nothing else")
    parser.add_argument("--times", action="store_true", help="nothing else")
    parser.add_argument("--small", action="store_true", help="the smaller shots alone")
    parser.add_argument("--shot", nargs=4, metavar=("FILE", "MEDIUM", "SHAPE", "KIND"), help="keep one shot in a file")
    args = parser.parse_args()
    if args.shot:
        path, medium, shape, kind = args.shot
        np.savez(path, **shot(medium, tuple(map(int, shape.split("x"))), kind == "imaged"))
        return
    media = args.media or list(MEDIA)
    if unknown := set(media) - set(MEDIA):
        parser.error(f"no medium here is {', '.join(sorted(unknown))}")
    print(*(f"{key} {devito.configuration[key]}" for key in ("platform", "compiler", "language")))
    passed = args.times or all([adjoints(medium) for medium in media])
    if not args.adjoints:
        for medium, shape, imaged in TIMED:
            if medium in media and not (args.small and np.prod(shape) > 1e6):
                passed &= compared(medium, shape, imaged)
    raise SystemExit(0 if passed else 1)


if __name__ == "__main__":
    main()
