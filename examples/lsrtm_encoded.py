"""Least-squares migration of simultaneous sources: all shots in few marches, with signs drawn anew for every pass.

Each pass fires all shots together in a few encoded ones, explains what the image so far leaves of their records by a
few iterations of CGLS, and adds the result to the image. The cross-talk between shots changes with the signs and goes
in the mean. Beside it CGLS on all shots, one by one, with as many marches.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pylops
from tqdm import tqdm

import seisops as so
from seisops.scene import draw_in_files, parser, relative_error, save, scene

# Of CGLS, on the shots of one pass.
INNER = 3


def main() -> None:
    draw_in_files()
    line = parser(__doc__, shots=24, iterations=20)
    line.add_argument("--encoded", type=int, default=2, help="encoded shots of a pass")
    args = line.parse_args()
    s = scene(args, smoothing=40.0)
    F = s.operators(s.v0)
    q = so.ricker(s.src, s.f0)
    print(F.model, s.src, s.rec, f"peak frequency {1000 * s.f0:.1f} Hz", sep="\n")

    below = pylops.Diagonal((~s.water).ravel().astype("float32"), dtype="float32")
    J = so.Jacobian(F, q) @ below
    dm = s.model(s.v).m - F.model.m
    d = J.matvec(dm.ravel()).reshape(J.dimsd)

    # A march a shot for the background, two for an iteration, and one for what the image leaves.
    marches = args.iterations * args.encoded * (2 * INNER + 2)
    iterations = max(1, (marches // args.shots - 1) // 2)

    def encoded(passes: int, rng: np.random.Generator) -> np.ndarray:
        image, images = np.zeros(dm.size, np.float32), []
        bar = tqdm(
            range(passes), desc="encoded", bar_format="{desc} {bar:30} {n_fmt}/{total_fmt} [{elapsed}] {postfix}"
        )
        for _ in bar:
            W = so.Encoding.random(args.encoded, args.shots, rng)
            JW = so.Jacobian(W @ F, W.sources(F) @ q) @ below
            dW = (W.records(F) @ d).ravel()
            left = dW - JW.matvec(image)
            image = image + pylops.cgls(JW, left, niter=INNER, tol=0)[0]
            images.append(image)
            bar.set_postfix_str(f"residual {np.linalg.norm(left) / np.linalg.norm(dW):.3f}")
        # The mean of the later passes: what is left of the cross-talk differs between them.
        return np.mean(images[passes // 2 :], axis=0)

    images = {
        f"CGLS, {args.shots} shots x {iterations} iterations": pylops.cgls(J, d.ravel(), niter=iterations, tol=0)[0],
        f"{args.encoded} encoded shots x {args.iterations} passes": encoded(args.iterations, np.random.default_rng(0)),
    }

    print(f"relative model error with {marches} marches: 1.000 before")
    for name, image in images.items():
        residual = np.linalg.norm(d.ravel() - J.matvec(image)) / np.linalg.norm(d)
        print(f"  {name:34} {relative_error(image, dm):.3f}   relative residual of all shots {residual:.3f}")

    figure, axes = plt.subplots(2, 2, figsize=(15, 8), layout="constrained")
    ax = axes.ravel()
    limit = float(np.percentile(np.abs(dm), 99))
    for a, (name, image) in zip(ax, {"true perturbation": dm, **images}.items(), strict=False):
        section = np.reshape(image, F.model.shape)
        so.plot.section(F.model, section, a, title=name, label="dm (s²/km²)", limits=(-limit, limit))
    W = so.Encoding.random(args.encoded, args.shots, np.random.default_rng(0))
    WF = W @ F
    so.plot.shot(WF.factors[0].geometry, W.records(F) @ d, ax[3], i=0, title="record of an encoded shot")
    save(figure, args, "lsrtm_encoded.png")


if __name__ == "__main__":
    main()
