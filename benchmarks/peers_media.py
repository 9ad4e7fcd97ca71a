"""Sound with density and elastic waves in seisops and deepwave: python benchmarks/peers_media.py [--repeat 3]

Needs ``pip install '.[bench]'``. Both have the same staggered grid, order 8, means of parameters between nodes, number
of steps and points on nodes, in float32 on all threads of the process; a force along x is recorded as pressure.
First the waveforms and gradients of both are compared, in a medium with lenses, without a correction of the time step:
what is left are layers, 10 cells here and 20 there, which absorb about as well. Then jobs are timed in turns; deepwave
runs batches of 1, 2 and 4 shots, the fastest of which is reported; a gradient of 8 in a solid does not fit into 20 GB.
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

import seisops as so

BATCHES = (1, 2, 4)
# Kilometres a second, metres, milliseconds, g/cm³: deepwave takes any units that belong together.
SPACING, DT, PML = 10.0, 1.0, 20


def earth(shape: tuple[int, int], names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Velocities and density that grow with depth, with lenses."""
    x, z = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    lens = np.exp(-(((x - 0.5) / 0.15) ** 2) - ((z - 0.5) / 0.1) ** 2)
    vp = 1.8 + 1.6 * z + 0.3 * lens
    found = {"v": vp, "vp": vp, "vs": 0.55 * vp - 0.1 * lens, "rho": 1.6 + 0.6 * z - 0.2 * lens}
    return {name: found[name].astype(np.float32) for name in names}


def survey(shape: tuple[int, int], nsrc: int, nrec: int, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes of sources and receivers, and a wavelet in steps."""
    src, rec = (np.rint(np.linspace(5, shape[0] - 6, n)).astype(int) for n in (nsrc, nrec))
    src, rec = (np.stack([x, np.full_like(x, depth)], axis=1) for x, depth in ((src, 5), (rec, 8)))
    a = (np.pi * 0.010 * (np.arange(steps) * DT - 150)) ** 2
    return src[:, None], np.repeat(rec[None], nsrc, axis=0), ((1 - 2 * a) * np.exp(-a)).astype(np.float32)


def seisops_jobs(values, src, rec, wavelet, steps) -> dict[str, Callable]:
    """The jobs on an operator made once; the first two give what is compared."""
    fastest = float(1.2 * values["v" if "v" in values else "vp"].max())
    model = so.Model(**values, spacing=SPACING, dt=DT, vmax=fastest, correct_dispersion=False)
    t = (steps - 17) * DT
    # A force along x acts half a cell behind its node.
    src, rec = (so.Geometry(x * SPACING + off, dt=DT, t=t) for x, off in ((src, (SPACING / 2, 0)), (rec, 0)))
    A = so.Modeling(model, rec)
    assert A.nt == steps
    F = so.Projection(model, rec) @ A @ so.Projection(model, src, component="x").H
    q, d, names = so.wavelet(src, wavelet[: src.nt]), np.zeros(F.dimsd, np.float32), tuple(values)
    return {"forward": lambda: F @ q, "gradient": lambda: so.fwi(F, q, d, wrt=names)[1]}


def deepwave_jobs(values, src, rec, wavelet, nt, batch) -> dict[str, Callable]:
    """The same with its autodiff, so many shots at once. Its slow axis, y, is x here."""
    fastest = float(1.2 * values["v" if "v" in values else "vp"].max())
    given = {name: torch.from_numpy(x) for name, x in values.items()}
    cells = [torch.from_numpy(x) for x in (src, rec)]
    amplitudes = torch.from_numpy(wavelet).repeat(len(src), 1, 1)
    batches = [
        dict(source_amplitudes_y=amplitudes[i : i + batch], source_locations_y=cells[0][i : i + batch],
             receiver_locations_p=cells[1][i : i + batch], grid_spacing=SPACING, dt=DT, accuracy=8, pml_width=PML,
             pml_freq=0.010, max_vel=fastest)
        for i in range(0, len(src), batch)
    ]  # fmt: skip

    def records(v, arguments):
        if "vs" in v:
            mu = v["rho"] * v["vs"] ** 2
            out = deepwave.elastic(v["rho"] * v["vp"] ** 2 - 2 * mu, mu, 1 / v["rho"], **arguments)
        else:
            out = deepwave.acoustic(v["v"], v["rho"], **arguments)
        return out.receiver_amplitudes_p[..., :nt]

    def forward():
        with torch.no_grad():
            return torch.cat([records(given, arguments) for arguments in batches]).numpy()

    def gradient():
        v = {name: x.clone().requires_grad_() for name, x in given.items()}
        for arguments in batches:
            (0.5 * records(v, arguments).square().sum()).backward()
        return np.stack([x.grad.numpy() for x in v.values()])

    return {"forward": forward, "gradient": gradient}


def error(a: np.ndarray, b: np.ndarray) -> float:
    """How far apart they are, of the first one's norm."""
    return np.linalg.norm(a - b) / np.linalg.norm(a)


def compare(title: str, names: tuple[str, ...], repeat: int, shape=(401, 201), steps=1500, nsrc=8, nrec=200) -> None:
    """Print how far both are apart and what they take, a shot, as medians of turns."""
    values = earth(shape, names)
    src, rec, wavelet = survey(shape, nsrc, nrec, steps)
    fastest = float(1.2 * values[names[0]].max())
    _, ratio = cfl_condition_n([SPACING] * 2, DT, fastest)
    assert ratio == 1, f"deepwave takes {ratio} steps for one"
    mine = seisops_jobs(values, src, rec, wavelet, steps)
    peers = {b: deepwave_jobs(values, src, rec, wavelet, steps - 16, b) for b in BATCHES if b <= nsrc}
    work = f"{shape[0]} x {shape[1]}, {steps} steps, {nsrc} shots, {nrec} receivers"
    print(f"\n{title}, {work}, gradient in {', '.join(names)}")
    for job, run in mine.items():
        a, b = run(), peers[4][job]()
        if job == "gradient":
            # Nodes next to points hold their singularities.
            a, b = a[..., 15:], b[..., 15:]
            apart = ", ".join(f"{n} {error(x, y):.2%}" for n, x, y in zip(names, a, b, strict=True))
        else:
            apart = f"{error(a, b):.2%}"
        print(f"{job + ', apart':24}{apart}")
    times: dict[tuple, list[float]] = {}
    for _ in range(repeat):
        for job, run in mine.items():
            for key, f in [("seisops", run), *((b, jobs[job]) for b, jobs in peers.items())]:
                start = time.perf_counter()
                f()
                times.setdefault((job, key), []).append(time.perf_counter() - start)
    for job in mine:
        median = {key: np.median(x) / nsrc for (j, key), x in times.items() if j == job}
        own = median.pop("seisops")
        best = min(median, key=median.get)
        theirs = f"deepwave {median[best]:.3f} s in batches of {best}: {median[best] / own:.1f} times"
        print(f"{job:24}{own:.3f} s a shot; {theirs}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # deepwave's, of names and padding it is about to change
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    compare("sound with density", ("v", "rho"), args.repeat)
    compare("elastic", ("vp", "vs", "rho"), args.repeat)


if __name__ == "__main__":
    main()
