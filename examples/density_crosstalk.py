"""Velocity and density together: what the gradient mixes up, and second derivatives take apart.

Waves go through a tank with one spot of another velocity and one of another density, and are recorded all around. The
gradient sees both spots in both parameters. The Gauss-Newton operator J.H @ J knows how much of each is the other's,
and some iterations with it tell the spots apart. The exact Hessian also knows how what is left of the data bends, which
at this start takes less of the cross-talk away. All changes are relative ones.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pylops

import seisops as so
from seisops.scene import draw_in_files, parser, relative_error, save

WRT = ("v", "rho")
SPACING, V0, RHO0 = 10.0, 2.0, 2.0
CHANGE, RADIUS = 0.03, 0.06


def around(extent, n: int) -> np.ndarray:
    """Positions of `n` points on a circle in the tank."""
    (x0, x1), (z0, z1) = extent
    angle = 2 * np.pi * (np.arange(n) + 0.3) / n
    x, z = 0.44 * (x1 - x0) * np.cos(angle), 0.44 * (z1 - z0) * np.sin(angle)
    return np.stack([(x0 + x1) / 2 + x, (z0 + z1) / 2 + z], axis=1)


def crosstalk(image: np.ndarray, spots: np.ndarray) -> tuple[float, float]:
    """Of the velocity's spot in the density, and the other way round, over what stands where it belongs."""
    v, rho = image
    of_v, of_rho = spots
    norm = np.linalg.norm
    return float(norm(rho[of_v]) / norm(rho[of_rho])), float(norm(v[of_rho]) / norm(v[of_v]))


def main() -> None:
    draw_in_files()
    reading = parser(__doc__, shots=8, iterations=30)
    reading.set_defaults(cells=(61, 61))
    args = reading.parse_args()
    shape = tuple(args.cells)
    x, z = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    # The velocity's to the left, the density's to the right.
    far = np.stack([np.hypot(x - 0.36, z - 0.42), np.hypot(x - 0.64, z - 0.58)])
    true = CHANGE * np.exp(-0.5 * (far / (0.5 * RADIUS)) ** 2)
    spots = far < RADIUS

    model = so.Model(v=np.full(shape, V0), rho=np.full(shape, RHO0), spacing=SPACING)
    f0 = 0.014
    t = 1.5 / f0 + 1.1 * np.hypot(*(high - low for low, high in model.extent)) / V0
    rec = so.Geometry(np.broadcast_to(around(model.extent, 48), (args.shots, 48, 2)), dt=4.0, t=t)
    src = so.Geometry(around(model.extent, args.shots)[:, None], dt=4.0, t=t)
    F, q = so.modeling(model, src, rec), so.ricker(src, f0)
    print(model, src, rec, sep="\n")
    d = F.at(v=V0 * (1 + true[0]), rho=RHO0 * (1 + true[1])) @ q

    # From relative changes to changes.
    M = pylops.Diagonal(np.repeat([V0, RHO0], model.size).astype("float32"), dtype="float32")
    J, left = so.Jacobian(F, q, wrt=WRT) @ M, (d - F @ q).ravel()
    _, gradient = so.fwi(F, q, d, wrt=WRT, model_precon=M)
    H = so.hessian(F, q, d, wrt=WRT, model_precon=M)
    downhill = -gradient.ravel()
    # A little of the identity, for what no wave has seen; where the exact Hessian bends down, too.
    along = np.vdot(downhill, H.matvec(downhill.astype("float32"))) / np.vdot(downhill, downhill)
    damp = 0.002 * float(along)
    with pylops.disabled_ndarray_multiplication():
        newton = pylops.cg(H + damp * pylops.Identity(H.shape[0], dtype="float32"), downhill, niter=args.iterations)[0]
        gauss = pylops.cgls(J, left, niter=args.iterations, damp=np.sqrt(damp), tol=0)[0]
    images = {"gradient": downhill / along, "Gauss-Newton": gauss, "exact Hessian": newton}
    images = {name: np.reshape(image, true.shape) for name, image in images.items()}
    print(f"cross-talk{'':27} v into rho   rho into v   relative error")
    for name, image in images.items():
        into_rho, into_v = crosstalk(image, spots)
        print(f"  {name:34} {into_rho:11.2f} {into_v:12.2f} {relative_error(image, true):16.2f}")
    # The block of the Hessian that makes the gradient mix them up.
    only = np.stack([true[0], np.zeros(shape)]).astype("float32")
    found = np.reshape(H.matvec(only.ravel()), true.shape)
    share = np.linalg.norm(found[1]) / np.linalg.norm(found[0])
    print(f"a change of v alone: what the Hessian makes of it in rho is {share:.2f} of that in v")

    figure, axes = plt.subplots(2, 4, figsize=(19, 7.5), layout="constrained")
    pictures = {"true": true, **images}
    for row, k in zip(axes, range(2), strict=True):
        for ax, (name, image) in zip(row, pictures.items(), strict=True):
            title, limit = f"{('velocity', 'density')[k]}: {name}", 100 * np.abs(image).max()
            so.plot.section(model, 100 * image[k], ax, title=title, label="change (%)", limits=(-limit, limit))
            ax.images[0].set_cmap("RdBu_r")
    axes[0, 0].plot(*around(model.extent, 48).T / 1000, "v", ms=3, color="black")
    axes[0, 0].plot(*around(model.extent, args.shots).T / 1000, "*", ms=7, color="black")
    save(figure, args, "density_crosstalk.png")


if __name__ == "__main__":
    main()
