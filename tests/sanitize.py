"""Every node that a kernel touches, checked: the operators of the zoo, and points in thin layers, by sanitized kernels.

    python tests/sanitize.py            # everything; it compiles every kernel anew, for twenty minutes
    python tests/sanitize.py thin 3d    # some of the kinds below

A kernel is compiled with GCC's address sanitizer, and with bounds for every axis of an array but the first; arrays are
as large as they must be and not a byte larger. The first access beyond one ends the run with a report.
"""

import ctypes
import os
import subprocess
import sys
import tempfile
import warnings

FLAGS = ["-g", "-fsanitize=address,bounds", "-fno-sanitize-recover=all"]
# The sanitizer, and what throws the exceptions that it watches.
LIBRARIES = [
    subprocess.check_output(["gcc", f"-print-file-name=lib{x}.so"], text=True).strip() for x in ("asan", "stdc++")
]


def start_again() -> None:
    """The same command in a process whose memory the sanitizer watches, with compiled kernels of its own."""
    with tempfile.TemporaryDirectory() as folder:
        watched = {
            "LD_PRELOAD": " ".join(LIBRARIES),
            "ASAN_OPTIONS": "detect_leaks=0",
            "XDG_CACHE_HOME": folder,
            "TMPDIR": folder,
        }
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=os.environ | watched, check=False).returncode)


def sanitize() -> None:
    """Compile kernels for it, and hand out arrays whose ends it knows."""
    import numpy as np
    from devito.data.allocators import ALLOC_ALIGNED, PosixAllocator

    from seisops.propagators import kernels
    from seisops.storage import buffers

    # The compiler's own process needs no watching.
    del os.environ["LD_PRELOAD"]
    build = kernels._build

    def sanitized(spec):
        operator = build(spec)
        operator._compiler.cflags += FLAGS
        return operator

    kernels._build = sanitized
    # The library that Devito would ask by name is not the one that is watched.
    PosixAllocator.lib, PosixAllocator._attempted_init = ctypes.CDLL(None), True
    buffers._aligned = lambda size: ALLOC_ALIGNED.alloc((max(size, 1),), np.uint8)[0][:size]


def zoo(kind: str, names: list[str]):
    """Operators of the zoo, one after the other."""
    from zoo import operator

    for name in names:
        yield f"{kind}: {name}", operator(name, kind)


def thin():
    """Points in corners, on edges and inside, on nodes at one end and off them at the other, in layers of few cells."""
    import numpy as np

    import seisops as so

    rng = np.random.default_rng(0)
    cases = [(absorb, order, False) for absorb in range(5) for order in (2, 4, 8)] + [(0, 8, True), (4, 8, True)]
    for absorb, order, surface in cases:
        model = so.Model(v=rng.uniform(1.5, 2.5, (25, 25)), spacing=10.0, absorb=absorb, space_order=order,
                         free_surface=surface, dtype="float64")  # fmt: skip
        ends = np.array([10.0, 120.0, 240.0])
        on = np.stack(np.meshgrid(ends, ends), axis=-1).reshape(1, -1, 2)
        off = on + np.where(on == 240, -1, 1) * 3.3
        on, off = (so.Projection(model, so.Geometry(x, dt=2.0, t=60.0)) for x in (on, off))
        A = so.Modeling(model, on.geometry)
        for left, right in ((on, on), (off, on), (off, off)):
            F = left @ A @ right.H
            kind = f"thin: absorb {absorb}, order {order}{', free surface' * surface}"
            for op in (F, F.H):
                yield f"{kind}, {'on' if left is on else 'off'} and {'on' if right is on else 'off'} nodes", op


def half():
    """Jacobians and extended images whose backgrounds have sixteen bits a number."""
    from zoo import world

    import seisops as so

    for kind in ("2d", "2d-float32", "3d"):
        w = world(kind)
        with so.config(storage=so.storage.Half()):
            J = w.F.jacobian(w.q)
        for op in (J, J.H, so.imaging.subsurface_offsets(J, 2), so.imaging.inverse_scattering(J).H):
            yield f"half, {kind}: {op}", op


def main(kinds: list[str]) -> None:
    """Run every operator of the kinds."""
    import numpy as np
    from zoo import FEW, LISTED, NAMES

    sets = {
        "thin": thin,
        "half": half,
        "2d": lambda: zoo("2d", NAMES),
        "surface": lambda: zoo("surface", LISTED),
        "2d-float32": lambda: zoo("2d-float32", LISTED),
        "3d": lambda: zoo("3d", FEW),
    }
    sanitize()
    warnings.simplefilter("ignore")
    count = 0
    for kind in kinds or sets:
        for name, op in sets[kind]():
            print(name, flush=True)
            _ = op @ np.random.default_rng(0).standard_normal(op.dims)
            count += 1
    print(f"{count} operators touch nothing but their own arrays.")


if __name__ == "__main__":
    if LIBRARIES[0] not in os.environ.get("LD_PRELOAD", ""):
        start_again()
    main(sys.argv[1:])
