"""From a SEG-Y file to an image: shots are read one at a time, muted, migrated, and summed.

Without --data, a survey over a generated earth is modelled and written first, and stands for the field's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_laplace
from tqdm import tqdm

import seisops as so
from seisops.scene import draw_in_files, save, scene


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="shot records in SEG-Y; modelled by default")
    parser.add_argument("--model", type=Path, help="velocity to migrate in, .npy, .h5 or SEG-Y; needed with --data")
    parser.add_argument("--spacing", type=float, nargs="+", help="grid spacing in m, where the model does not say")
    parser.add_argument(
        "--frequency", type=float, help="peak frequency of the data, Hz; what the grid carries by default"
    )
    parser.add_argument(
        "--source-z", default="SourceDepth - SourceSurfaceElevation", help="header words or a depth in m"
    )
    parser.add_argument("--receiver-z", default="-ReceiverGroupElevation", help="header words or a depth in m")
    parser.add_argument("--shots", type=int, default=24, help="of the modelled survey")
    parser.add_argument("--cells", type=int, nargs=2, default=(321, 121), help="size of the generated model")
    parser.add_argument("--output", type=Path, default=Path("pictures"), help="folder for what is written")
    args = parser.parse_args()
    if args.data and not args.model:
        parser.error("--data needs the velocity to migrate in: --model")
    return args


def depth(words: str) -> str | float:
    """Header words, or a number."""
    try:
        return float(words)
    except ValueError:
        return words


def mute(record: np.ndarray, offset: np.ndarray, time: np.ndarray, v: float, f0: float) -> np.ndarray:
    """Take away the direct wave, which travels at `v`, and what comes before it."""
    # A Ricker wavelet starts at 0 and is over after two and a half periods.
    periods = (time - offset[:, None] / v) * f0 - 2
    return record * (np.sin(np.pi / 2 * np.clip(periods, 0, 1)) ** 2).astype(record.dtype)


def main() -> None:
    draw_in_files()
    args = arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    s = scene(args, smoothing=40.0)
    f0 = args.frequency / 1000 if args.frequency else s.f0
    if not args.data:
        F, path = s.operators(s.v), args.output / "field.segy"
        so.segy.write(path, F @ so.ricker(s.src, f0), s.src, s.rec)
    v0, path = (s.v, args.data) if args.data else (s.v0, path)

    data, src, rec = so.segy.read(path, source_z=depth(args.source_z), receiver_z=depth(args.receiver_z))
    model = s.model(v0)
    J = so.Jacobian(so.modeling(model, src, rec), so.ricker(src, f0))
    print(data, src, model, sep="\n")

    def muted(i: int) -> np.ndarray:
        offset = np.linalg.norm(rec.positions[i] - src.positions[i], axis=1)
        return mute(data[i], offset, rec.time, v0.min(), f0)

    image = np.zeros(model.shape)
    for i in tqdm(range(len(data)), desc="shots", bar_format="{desc} {bar:30} {n_fmt}/{total_fmt} [{elapsed}]"):
        image += J[i].H @ muted(i)
    # The outermost cells hold what the absorbing layer behind them sees. The Laplacian removes what is smooth, where
    # two waves went the same way; depth makes up for their spreading.
    image = np.pad(image[1:-1, 1:-1], 1, mode="edge")
    image = -gaussian_laplace(image, 1.0) * np.linspace(0, 1, model.shape[1])
    image[s.water & (not s.water.all())] = 0
    np.save(args.output / "field_image.npy", image)

    figure, axes = plt.subplots(2, 2, figsize=(15, 8), layout="constrained")
    ax, i = axes.ravel(), len(data) // 2
    so.plot.section(model, v0, ax[0], title="velocity to migrate in", label="km/s", survey=(src,))
    so.plot.section(model, image, ax[1], title=f"image of {len(data)} shots", clip=98)
    so.plot.shot(rec[[i]], data[[i]], ax[2], title="a shot from the file")
    so.plot.shot(rec[[i]], muted(i), ax[3], title="the same without the direct wave")
    save(figure, args, "field_workflow.png")


if __name__ == "__main__":
    main()
