"""What each storage costs: peak memory and error of one gradient, each in a process of its own, and interleaved times.

python benchmarks/storage.py [--cells 401 201] [--steps 1500] [--repeat 5]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

import seisops as so

STORAGES = ["Memory()", "Checkpointed()", "Half()", "Subsampled(fmax=0.03)", "Disk()"]


def scene(cells, steps):
    """A shot in a layered model, and data of a slightly faster one."""
    nx, nz = cells
    model = so.Model(v=np.linspace(1.5, 4.0, nz) * np.ones((nx, 1)), spacing=10.0)
    t = (steps - 17) * model.dt
    x = np.linspace(20.0, (nx - 3) * 10.0, 200)
    src = so.Geometry.line(10.0 * (nx // 2), depth=20.0, dt=4.0, t=t)
    rec = so.Geometry.spread(np.rint(x / 10) * 10, depth=30.0, nsrc=1, dt=4.0, t=t)
    F = so.modeling(model, src, rec)
    return F, so.ricker(src, f0=0.010)


def chosen(storage: str):
    """A context with the storage of this name."""
    return so.config(storage=eval(f"so.storage.{storage}"))


def measure(storage: str, cells, steps) -> dict:
    """The peak memory of a gradient over that of a forward product, and the gradient itself."""
    with chosen(storage):
        # Programs take memory too, once; what is measured is what grows with the grid and the steps.
        small, q = scene((61, 41), 400)
        so.fwi(small, q, small @ q)
    F, q = scene(cells, steps)
    d = F.at(m=0.99 * F.model.m) @ q
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with chosen(storage):
        _, gradient = so.fwi(F, q, d)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"bytes": 1024 * peak, "gradient": gradient.ravel().tolist()}


def interleaved(cells, steps, repeat: int) -> dict[str, list[float]]:
    """Times of gradients, all storages in turns; the first turn fills caches and does not count."""
    F, q = scene(cells, steps)
    d = F.at(m=0.99 * F.model.m) @ q
    times = {storage: [] for storage in STORAGES}
    for _ in range(repeat + 1):
        for storage in STORAGES:
            with chosen(storage):
                start = time.perf_counter()
                so.fwi(F, q, d)
                times[storage].append(time.perf_counter() - start)
    return {storage: t[1:] for storage, t in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs=2, default=(401, 201))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.cells, args.steps)))
        return
    F, _ = scene(args.cells, args.steps)
    full = F.factors[1].wave().nbytes
    print(F.model, f"{args.steps} steps: a whole background is {full / 2**20:.0f} MB")
    print(f"{'storage':24} {'peak memory':>12} {'of a whole':>11} {'time':>8} {'of Memory':>10} {'gradient error':>15}")
    found = []
    for storage in STORAGES:  # before this process grows, whose size its children begin with
        command = [sys.executable, "-W", "ignore", __file__, "--one", storage, "--steps", str(args.steps)]
        command += ["--cells", *map(str, args.cells)]
        found.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    times = interleaved(args.cells, args.steps, args.repeat)
    sure = np.array(found[0]["gradient"])
    for storage, one in zip(STORAGES, found, strict=True):
        ratio = np.median(np.divide(times[storage], times[STORAGES[0]]))
        error = np.linalg.norm(one["gradient"] - sure) / np.linalg.norm(sure)
        print(
            f"{storage:24} {one['bytes'] / 2**20:9.0f} MB {one['bytes'] / full:11.3f} "
            f"{np.median(times[storage]):6.2f} s {ratio:10.2f} {error:15.1e}"
        )


if __name__ == "__main__":
    main()
