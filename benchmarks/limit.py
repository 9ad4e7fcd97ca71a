"""Whole products over what the machine would need at least: the bare stencil on the same padded grid.

python benchmarks/limit.py [--case 2d 96 200] [--repeat 7]

The stencil is Devito's, blocked, with two levels in memory and as many threads; of ``J.H @ d`` the least is a march and
one reading of the background. All of them turn by turn; printed are medians of the ratios. The stencil itself stands
between two roofs: the same arrays read and written without neighbours, and its operations at the speed of a product of
matrices, of which it could have three quarters, as few of its sums have a product to be joined with.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import devito
import numpy as np
from threadpoolctl import threadpool_limits

import seisops as so
from seisops.execution.cores import on_threads

# Cells, spacing (m), steps, receivers, threads.
CASES = {
    "2d": ((401, 201), 10.0, 1500, 200, 1),
    "96": ((96, 96, 96), 10.0, 300, 100, 2),
    "200": ((200, 200, 150), 10.0, 60, 100, 2),
}


def bare(
    shape: tuple[int, ...], spacing: float, dt: float, order: int, threads: int, *, neighbours: bool = True
) -> Callable[[int], int]:
    """The wave equation's stencil alone, or its arrays without neighbours, for so many steps: operations at a node."""
    grid = devito.Grid(shape, tuple((n - 1) * spacing for n in shape), dtype=np.float32)
    # What is written over the level before is still read from it, so that two levels do.
    u = devito.TimeFunction(name="u", grid=grid, time_order=1, space_order=order)
    # The square of a step over the squared slowness, not a quotient at every node.
    c = devito.Function(name="c", grid=grid, space_order=0)
    c.data[:], u.data[:] = 4 * dt**2, 0.0
    step = devito.Eq(u.forward, 2 * u - u.forward + c * (u.laplace if neighbours else u))
    op = devito.Operator([step], name="Bare", compiler="gcc", language="openmp")
    spacings = {d.spacing.name: np.float32(spacing) for d in grid.dimensions}

    def march(steps: int) -> int:
        return op.apply(time_m=0, time_M=steps - 1, dt=dt, nthreads=threads, **spacings)["section0", None].ops

    return march


def multiplied(threads: int, n: int = 1536) -> float:
    """Operations a second (10⁹) of a product of matrices."""
    a = np.ones((n, n), np.float32)
    with threadpool_limits(threads):
        times = [_took(lambda: a @ a) for _ in range(7)]
    return 2 * n**3 / min(times) / 1e9


def _took(call: Callable) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def survey(shape, spacing, steps, receivers):
    """A shot in the middle, its receivers off the nodes, and the model."""
    v = np.broadcast_to(np.linspace(1.5, 4.0, shape[-1]), shape)
    model = so.Model(v=v, spacing=spacing)
    t, edge = (steps - 17) * model.dt, (shape[0] - 1) * spacing
    x = np.linspace(2.3 * spacing, edge - 2.3 * spacing, receivers)
    across = [] if len(shape) == 2 else [np.full_like(x, 0.47 * (shape[1] - 1) * spacing)]
    at = np.stack([x, *across, np.full_like(x, 3.3 * spacing)], axis=-1)[None]
    rec = so.Geometry(at, dt=4 * model.dt, t=t)
    src = so.Geometry(at[:, receivers // 2 : receivers // 2 + 1] + 1.7, dt=4 * model.dt, t=t)
    return model, so.modeling(model, src, rec), so.ricker(src, f0=0.04 / model.dt)


def compare(name: str, repeat: int) -> None:
    shape, spacing, steps, receivers, threads = CASES[name]
    model, F, q = survey(shape, spacing, steps, receivers)
    nt = F.factors[1].nt
    stencil, arrays = (
        bare(model.padded_shape, spacing, model.dt, model.space_order, threads, neighbours=n) for n in (True, False)
    )
    kept = np.zeros((nt, *model.padded_shape), np.float32)
    chunk = np.empty(model.padded_shape, np.float32)

    def background() -> None:
        for level in kept:
            np.copyto(chunk, level)

    d, J = F.linearize(q)
    jobs = {
        "stencil": lambda: stencil(nt),
        "arrays": lambda: arrays(nt),
        "background": background,
        "F @ q": lambda: on_threads(threads, lambda _: F @ q, 0),
        "J.H @ d": lambda: on_threads(threads, lambda _: J.H @ d, 0),
    }
    times = {job: [] for job in jobs}
    for run in range(repeat + 1):
        for job, call in jobs.items():
            took = _took(call)
            if run:
                times[job].append(took)
    seconds = {job: np.array(t) for job, t in times.items()}
    cells = np.prod(model.padded_shape) * nt
    least = {"F @ q": seconds["stencil"], "J.H @ d": seconds["stencil"] + seconds["background"]}
    print(f"{' x '.join(map(str, shape))}, {nt} steps, {receivers} receivers, {threads} threads")
    levels = F.memory(verbose=False).marching / (np.prod(model.padded_shape) * 4)
    print(f"  F @ q takes the memory of {levels:.1f} wavefields of one step")
    rate, operations = cells / np.median(seconds["stencil"]) / 1e9, stencil(1)
    slower = np.median(seconds["stencil"] / seconds["arrays"])
    print(f"  stencil {rate:.2f} GPts/s, {slower:.1f} times its arrays alone,")
    print(f"    {operations} operations a node: {rate * operations:.0f} GFlop/s, of matrices {multiplied(threads):.0f}")
    for job, floor in least.items():
        print(f"  {job:8} {np.median(seconds[job]):.3f} s, {np.median(seconds[job] / floor):.2f} times the least")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeat", type=int, default=7)
    args = parser.parse_args()
    devito.configuration["log-level"] = "WARNING"
    devito.configuration["profiling"] = "advanced"  # which counts operations
    # What is marched is of no matter here.
    warnings.simplefilter("ignore", so.wavelets.WaveletWarning)
    for name in args.case:
        compare(name, args.repeat)


if __name__ == "__main__":
    main()
