"""The same jobs in seisops, deepwave and PyLops, interleaved: python benchmarks/peers.py [--only 2d] [--repeat 3]

Needs ``pip install '.[bench]'``. Same grid, spacing, order 8, number of steps, points on nodes, float32, threads of the
process. The steps that each library takes are counted and printed: deepwave takes several for one where its own limit,
a Courant number of 0.6, asks for it. It runs batches of 1, 2, 4 and 8 shots, the fastest of which is reported.
seisops and deepwave absorb about as well, with 10 cells of CPML (-86 dB) and 20 cells of PML (-76 dB); ``--pml 10``
gives deepwave a layer as thin.
PyLops' operator chooses its own time step for the same time, has a sponge of 20 cells, and knows Born modelling only;
as it comes it runs on one thread, and with OpenMP where Devito's configuration says so: both are timed.
The column of Devito is a script of its own, with the buffers of all shots reused and a sponge of 20 cells: what the
stencil costs without a library. In 3-D a turn takes deepwave some minutes.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable

import deepwave
import numpy as np
import torch
from deepwave.discretisation import cfl_condition_n
from devito import (
    Eq,
    Function,
    Grid,
    Inc,
    Operator,
    SparseTimeFunction,
    TimeFunction,
    configuration,
    solve,
    switchconfig,
)
from pylops.waveeqprocessing import AcousticWave2D

import seisops as so

SPONGE = 20
BATCHES = (1, 2, 4, 8)


def seisops_jobs(v, spacing, src, rec, wavelet, dt, steps) -> dict[str, Callable]:
    """The jobs on operators made once, as an inversion makes them."""
    model = so.Model(v=v, spacing=spacing, dt=dt, vmax=float(v.max()))
    # As many steps of computation as the others take; data at the computational step.
    t = (steps - 17) * dt
    src, rec = (so.Geometry(x, dt=dt, t=t) for x in (src, rec))
    assert so.Modeling(model, rec).nt == steps
    F = so.modeling(model, src, rec)
    q = so.wavelet(src, wavelet[: src.nt])
    d = np.zeros(F.dimsd, np.float32)
    J = F.jacobian(q)
    dm = 0.01 * model.m
    return {
        "forward": lambda: F @ q,
        "Born, background kept": lambda: J @ dm,
        "RTM, background kept": lambda: J.H @ (d + 1),
        "FWI gradient": lambda: so.fwi(F, q, d),
    }


def deepwave_jobs(v, spacing, src, rec, wavelet, dt, pml, batch) -> tuple[dict[str, Callable], int]:
    """The same with its autodiff, so many shots at once; with the steps it takes."""
    _, ratio = cfl_condition_n([spacing] * v.ndim, dt / 1000, float(v.max() * 1000))
    velocity = torch.tensor(v * 1000, dtype=torch.float32)
    cells = [torch.tensor(np.rint(x / spacing), dtype=torch.long) for x in (src, rec)]
    amplitudes = torch.tensor(wavelet, dtype=torch.float32).repeat(len(src), src.shape[1], 1)
    common = dict(grid_spacing=spacing, dt=dt / 1000, accuracy=8, pml_width=pml, pml_freq=10.0,
                  max_vel=float(v.max() * 1000))  # fmt: skip
    batches = [
        dict(source_amplitudes=amplitudes[i : i + batch], source_locations=cells[0][i : i + batch],
             receiver_locations=cells[1][i : i + batch], **common)
        for i in range(0, len(src), batch)
    ]  # fmt: skip
    scatter = torch.tensor(0.01 * v * 1000, dtype=torch.float32)

    def forward():
        with torch.no_grad():
            return [deepwave.scalar(velocity, **arguments)[-1] for arguments in batches]

    def born():
        with torch.no_grad():
            return [deepwave.scalar_born(velocity, scatter=scatter, **arguments)[-1] for arguments in batches]

    def rtm():
        image = torch.zeros_like(velocity, requires_grad=True)
        for arguments in batches:
            deepwave.scalar_born(velocity, scatter=image, **arguments)[-1].sum().backward()
        return image.grad

    def gradient():
        model = velocity.clone().requires_grad_()
        for arguments in batches:
            deepwave.scalar(model, **arguments)[-1].square().sum().backward()
        return model.grad

    jobs = {"forward": forward, "Born, background kept": born, "RTM, background kept": rtm, "FWI gradient": gradient}
    return jobs, amplitudes.shape[-1] * ratio


def devito_jobs(v, spacing, src, rec, wavelet, dt, steps) -> dict[str, Callable]:
    """A plain Devito script: modelling, and a gradient that keeps every step of the wavefield."""
    nbl = SPONGE
    padded = np.pad(v, nbl, mode="edge")
    grid = Grid(shape=padded.shape, extent=[(n - 1) * spacing for n in padded.shape], dtype=np.float32)
    m, damp, image = (Function(name=name, grid=grid, space_order=8) for name in ("m", "damp", "image"))
    m.data[:] = padded**-2.0
    for axis, n in enumerate(padded.shape):
        depth = np.maximum(np.maximum(nbl - np.arange(n), np.arange(n) - (n - 1 - nbl)), 0) / nbl
        damp.data[:] += (0.1 * depth**2).reshape([-1 if a == axis else 1 for a in range(grid.dim)])
    u, w = (TimeFunction(name=name, grid=grid, time_order=2, space_order=8) for name in "uw")
    kept = TimeFunction(name="kept", grid=grid, time_order=2, space_order=8, save=steps + 2)
    q = SparseTimeFunction(name="q", grid=grid, npoint=src.shape[1], nt=steps + 2)
    d = SparseTimeFunction(name="d", grid=grid, npoint=rec.shape[1], nt=steps + 2)
    q.data[1:-1] = wavelet[:, None]

    def wave(u):
        stencil = Eq(u.forward, solve(m * u.dt2 - u.laplace + damp * u.dt, u.forward))
        # Devito's sparse operations add to a list, but are none.
        return [stencil] + q.inject(field=u.forward, expr=q * dt**2 / m) + d.interpolate(expr=u)  # noqa: RUF005

    stencil = Eq(w.backward, solve(m * w.dt2 - w.laplace + damp * w.dt.T, w.backward))
    correlation = Inc(image, -kept * w.dt2)
    back = [stencil] + d.inject(field=w.backward, expr=d * dt**2 / m) + [correlation]  # noqa: RUF005
    with switchconfig(language="openmp"):
        model, keep, gradient = (Operator(equations) for equations in (wave(u), wave(kept), back))

    def every_shot(*operators):
        for s, r in zip(src, rec, strict=True):
            q.coordinates.data[:], d.coordinates.data[:] = s + nbl * spacing, r + nbl * spacing
            for f in (u, w, kept):
                f.data_with_halo[:2] = 0
            for operator in operators:
                operator.apply(dt=dt, time_m=1, time_M=steps)

    return {"forward": lambda: every_shot(model), "FWI gradient": lambda: every_shot(keep, gradient)}


def pylops_jobs(v, spacing, src, rec, f0, tmax, language) -> tuple[dict[str, Callable], int]:
    """Born modelling and its adjoint, which march the background each time; with the steps it takes."""

    def configured(job):
        def run():
            with switchconfig(language=language):
                return job()

        return run

    nx, nz = v.shape
    op = AcousticWave2D(
        (nx, nz), (0, 0), (spacing, spacing), v * 1000, src[:, 0, 0], src[:, 0, 1], rec[0, :, 0], rec[0, :, 1], 0.0,
        tmax, "Ricker", space_order=8, nbl=SPONGE, f0=f0 * 1000, dtype="float32",
    )  # fmt: skip
    steps = op.geometry.nt
    dm = (0.01 * v).astype(np.float32)
    d = configured(lambda: op @ dm.ravel())()
    jobs = {"Born, background kept": lambda: op @ dm.ravel(), "RTM, background kept": lambda: op.H @ d}
    return {name: configured(job) for name, job in jobs.items()}, steps


def survey(shape, spacing, nsrc, nrec):
    """Sources and receivers on nodes, near the top."""
    extent = (np.array(shape) - 1) * spacing
    depth = 2 * spacing

    def line(n):
        x = np.rint(np.linspace(3 * spacing, extent[0] - 3 * spacing, n) / spacing) * spacing
        middle = [np.full(n, np.rint(e / 2 / spacing) * spacing) for e in extent[1:-1]]
        return np.stack([x, *middle, np.full(n, depth)], axis=1)

    return line(nsrc)[:, None], np.repeat(line(nrec)[None], nsrc, axis=0)


def compare(name: str, shape, *, spacing, dt, steps, nsrc, nrec, f0, repeat: int, pml: int, pylops: bool) -> None:
    """Time all jobs of all libraries in turns and print the medians, a shot, and their ratios."""
    z = np.linspace(0, 1, shape[-1])
    v = np.broadcast_to(1.5 + 2.5 * z, shape).astype(np.float32).copy()
    src, rec = survey(shape, spacing, nsrc, nrec)
    t = np.arange(steps) * dt
    a = (np.pi * f0 * (t - 1.5 / f0)) ** 2
    wavelet = (1 - 2 * a) * np.exp(-a)
    earth = (v, spacing, src, rec)
    libraries = {
        "seisops": (seisops_jobs(*earth, wavelet, dt, steps), steps),
        "Devito": (devito_jobs(*earth, wavelet, dt, steps), steps),
    }
    for batch in [b for b in BATCHES if b <= nsrc]:
        libraries[f"deepwave {batch}"] = deepwave_jobs(*earth, wavelet, dt, pml, batch)
    if pylops:
        libraries["PyLops OpenMP"] = pylops_jobs(*earth, f0, steps * dt, "openmp")
        libraries["PyLops"] = pylops_jobs(*earth, f0, steps * dt, "C")
    for library, (_, n) in libraries.items():
        assert n == steps or library.startswith("PyLops"), f"{library} takes {n} steps, the others {steps}"
    times: dict = {}

    def seconds(job: str, column: list[str]) -> dict[str, float]:
        """A shot and a step, in every library of a column that has been timed."""
        return {x: np.median(times[job, x]) / nsrc / libraries[x][1] for x in column if (job, x) in times}

    # Of the batches of shots the fastest, job by job: after a turn the others are left out.
    columns = {library: [library] for library in libraries if not library.startswith("deepwave")}
    columns["deepwave"] = [library for library in libraries if library.startswith("deepwave")]
    for turn in range(repeat + 1):
        fastest = {
            job: min(s, key=s.get) for job in libraries["seisops"][0] if (s := seconds(job, columns["deepwave"]))
        }
        for library, (jobs, _) in libraries.items():
            for job, run in jobs.items():
                if library in columns["deepwave"] and fastest.get(job, library) != library:
                    continue
                start = time.perf_counter()
                run()
                if turn:  # the first compiles and fills caches
                    times.setdefault((job, library), []).append(time.perf_counter() - start)
    print(
        f"\n{name}: {' x '.join(map(str, shape))}, dt {dt:g} ms, {nsrc} shots, {nrec} receivers, deepwave's layer "
        f"{pml} cells; seconds a shot and 1000 steps"
    )
    print(f"{'job':24}" + "".join(f"{column:>15}" for column in columns) + "   times seisops")
    print(f"{'steps':24}" + "".join(f"{libraries[found[0]][1]:15}" for found in columns.values()))
    for job in libraries["seisops"][0]:
        cells, ratios, mine = "", "", seconds(job, ["seisops"])["seisops"]
        for column, found in columns.items():
            known = seconds(job, found)
            best = min(known, key=known.get, default=None)
            cells += f"{known[best] * 1000:15.4f}" if known else f"{'':15}"
            if known and column != "seisops":
                ratios += f"  {best} {known[best] / mine:.1f}"
            elif job == "FWI gradient" and (rtm := seconds("RTM, background kept", found)):
                ratios += f"  RTM of {column} {rtm[column] / mine:.1f}" * (column != "seisops")
        print(f"{job:24}{cells}  {ratios}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["2d", "3d"])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--pml", type=int, default=20, help="cells of deepwave's layer")
    args = parser.parse_args()
    configuration["log-level"] = "WARNING"
    warnings.simplefilter("ignore")  # deepwave's, of names and padding it is about to change
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    print("Born and RTM: seisops keeps the background, the others march it again in every product, as they must.")
    # The longest steps that deepwave takes as they are.
    if args.only != "3d":
        compare("2-D", (401, 201), spacing=10.0, dt=1.0, steps=1500, nsrc=8, nrec=200, f0=0.010, repeat=args.repeat,
                pml=args.pml, pylops=True)  # fmt: skip
    if args.only != "2d":
        compare("3-D", (96, 96, 96), spacing=10.0, dt=0.8, steps=300, nsrc=1, nrec=90, f0=0.015, repeat=args.repeat,
                pml=args.pml, pylops=False)  # fmt: skip


if __name__ == "__main__":
    main()
