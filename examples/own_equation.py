"""A wave equation of one's own: ground-penetrating radar, checked and inverted.

The medium is a class of twenty lines. All that the library knows of it stands there, and it gets kernels, adjoints,
Jacobians and inversion. Its units are m, ns, GHz, relative permittivity and mS/m, where the library prints m, ms, kHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import matplotlib.pyplot as plt
import numpy as np

import seisops as so
from seisops.physics import Medium, Parameter
from seisops.physics.medium import staggered_step
from seisops.physics.ports import added, assigned, ported
from seisops.physics.steps import Receiver, Source
from seisops.physics.terms import Difference, Field, Times
from seisops.scene import draw_in_files, minimised, parser, relative_error, save

C = 0.299792458  # m/ns
Z0 = 0.376730314  # the impedance of free space, V/mA: that times mS/m is 1/m
# What the conductivity takes off in half a step, averaged over the step.
HALF = f"h*{C * Z0 / 2}*sigma"


@dataclass(frozen=True)
class Radar(Medium):
    r"""TM waves: :math:`\epsilon\,\dot E_y + Z_0 c\,\sigma E_y = c\,(\partial_z H_x - \partial_x H_z + J_y)`.

    The magnetic field is in units of the electric one: :math:`\dot H_x = c\,\partial_z E_y`, :math:`\dot H_z = -c\,
    \partial_x E_y`.
    """

    parameters: ClassVar = {
        "epsilon": Parameter("relative permittivity", "1", least=1.0),
        "sigma": Parameter("conductivity", "mS/m", positive=False, least=0.0),
    }
    coefficients: ClassVar = {"gain": f"h*{C}/(epsilon + {HALF})", "loss": f"-2*{HALF}/(epsilon + {HALF})",
                              "c": f"h*{C}"}  # fmt: skip
    speed: ClassVar = f"{C}/sqrt(epsilon)"
    free_surface: ClassVar = False
    # E stands half a step after the currents.
    filters: ClassVar = {"Ey": ((), ("half",))}

    def scheme(self, ndim):
        E, before, curl = (Field(name, (0, 0)) for name in ("E", "before", "curl"))
        Hx, Hz = Field("Hx", (0, 1)), Field("Hz", (1, 0))
        stages = [
            assigned(curl, Difference(1, shift=-1)(Hx.value) - Difference(0, shift=-1)(Hz.value)),
            assigned(before, E.value),
            added(E, Times("gain")(curl.value) + Times("loss")(before.value)),
            added(Hx, Times("c")(Difference(1, shift=1)(E.value))),
            added(Hz, -Times("c")(Difference(0, shift=1)(E.value))),
        ]
        return ported([E, before, curl, Hx, Hz], stages, [Source("Ey", "curl"), Receiver("Ey", "E")])

    def stable_step(self, spacing, order):
        return staggered_step(spacing, order)


WRT, F0 = ("epsilon", "sigma"), 0.1  # GHz


def survey(model: so.Model, n: int, spacing: float) -> tuple[so.Geometry, so.Geometry]:
    """Antennas in two boreholes and on the ground between them: `n` send, all receive."""
    (x0, x1), (z0, z1) = model.extent
    left, right, top = x0 + 3 * spacing, x1 - 3 * spacing, z0 + 3 * spacing
    z, x = np.arange(top, z1 - 2 * spacing, 3 * spacing), np.arange(left, right, 3 * spacing)
    points = np.concatenate([np.stack([np.full(z.size, left), z], 1)[::-1], np.stack([x, np.full(x.size, top)], 1),
                             np.stack([np.full(z.size, right), z], 1)])  # fmt: skip
    t = 1.5 / F0 + 1.5 * (x1 - x0) / model.slowest
    send = points[np.linspace(0, len(points) - 1, n).astype(int)] + 0.3 * spacing
    return (so.Geometry(send[:, None], dt=0.8, t=t),
            so.Geometry(np.broadcast_to(points, (n, *points.shape)), dt=0.8, t=t))  # fmt: skip


def modeling(model: so.Model, src: so.Geometry, rec: so.Geometry):
    """Records of the electric field from currents along y."""
    Pr, Ps = (so.Projection(model, g, component="Ey") for g in (rec, src))
    return Pr @ so.Modeling(model, rec) @ Ps.H


def check() -> None:
    """The two laws on a small random earth, in double precision."""
    rng = np.random.default_rng(0)
    shape = (17, 15)
    model = so.Model(physics=Radar(), epsilon=rng.uniform(4, 6, shape), sigma=rng.uniform(2, 8, shape), spacing=0.1,
                     absorb=4, space_order=4, dtype="float64")  # fmt: skip
    src, rec = (so.Geometry(rng.uniform(0.2, 1.2, (1, n, 2)), dt=0.8, t=40.0) for n in (1, 3))
    F, q = modeling(model, src, rec), so.ricker(src, F0)
    J = F.jacobian(q, wrt=WRT)
    so.checks.dot_test(F)
    so.checks.dot_test(J)
    p = np.stack([model.epsilon, model.sigma])
    result = so.checks.taylor_test(lambda p: F.at(epsilon=p[0], sigma=p[1]) @ q, J, p, verbose=False)
    print("Taylor test: slopes {:.3f} and {:.3f} (1 and 2 where the derivative is right)".format(*result.slopes))


def main() -> None:
    draw_in_files()
    reading = parser(__doc__, shots=12, iterations=25)
    reading.set_defaults(cells=(61, 61))
    args = reading.parse_args()
    check()

    shape, spacing = tuple(args.cells), 0.1
    x, z = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")

    def spot(a, b, radius):
        return np.exp(-0.5 * (np.hypot(x - a, z - b) / radius) ** 2)

    start = {"epsilon": 4.5 + 0.5 * z, "sigma": 3.0 + 1.0 * z}
    true = {
        "epsilon": start["epsilon"] * (1 + 0.15 * spot(0.38, 0.4, 0.1) - 0.12 * spot(0.62, 0.68, 0.1)),
        "sigma": start["sigma"] * (1 + 1.2 * spot(0.62, 0.4, 0.11) - 0.6 * spot(0.38, 0.68, 0.11)),
    }
    model = so.Model(physics=Radar(), spacing=spacing, vmax=C / np.sqrt(3.0), **start)
    src, rec = survey(model, args.shots, spacing)
    F, q = modeling(model, src, rec), so.ricker(src, F0)
    print(model, src, rec, sep="\n")
    d = F.at(**true) @ q

    # Relative changes; those of the conductivity do less to the data and are larger.
    scale = np.stack([start["epsilon"], 4.0 * start["sigma"]])
    base = np.stack([start[name] for name in WRT])

    def objective(p):
        epsilon, sigma = base + scale * p
        value, gradient = so.fwi(F.at(epsilon=epsilon, sigma=sigma), q, d, wrt=WRT)
        return value, scale * gradient

    # A permittivity of 3.3 at least, a conductivity above zero.
    bounds = [(-0.25, 0.35)] * model.size + [(-0.22, 0.5)] * model.size
    found, values = minimised(objective, np.zeros(base.shape), bounds, args.iterations)
    result = dict(zip(WRT, base + scale * found, strict=True))
    for name in WRT:
        before, after = (relative_error(p[name], true[name]) for p in (start, result))
        print(f"relative error of {name}: {before:.4f} before, {after:.4f} after")

    figure, axes = plt.subplots(2, 4, figsize=(20, 8), layout="constrained")
    titles = {"epsilon": ("permittivity", "relative"), "sigma": ("conductivity", "mS/m")}
    for row, name in zip(axes, WRT, strict=True):
        word, unit = titles[name]
        limits = (true[name].min(), true[name].max())
        for ax, (title, p) in zip(row, {"true": true, "start": start, "result": result}.items(), strict=False):
            so.plot.section(model, p[name], ax, title=f"{word}, {title}", label=unit, limits=limits)
            low, high = (np.array(e) for e in zip(*model.extent, strict=True))
            ax.images[0].set_extent((low[0], high[0], high[1], low[1]))
            ax.set(xlabel="x (m)", ylabel="depth (m)")
    for geometry, marker in ((rec, "v"), (src, "*")):
        axes[0, 0].plot(*np.concatenate(geometry.positions).T, marker, ms=4, color="white", mec="black", mew=0.4)
    record = d[args.shots // 4]
    limit = np.percentile(np.abs(record), 98)
    axes[0, 3].imshow(record.T, extent=(0, len(record), rec.t, 0), aspect="auto", cmap="gray", vmin=-limit, vmax=limit)
    axes[0, 3].set(xlabel="antenna", ylabel="time (ns)", title="electric field of one sender")
    so.plot.convergence({"L-BFGS-B": values}, axes[1, 3], title="convergence", label="relative misfit")
    save(figure, args, "own_equation.png")


if __name__ == "__main__":
    main()
