"""What importing costs beyond PyLops, and a first small shot in a fresh process with warm caches."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

SHOT = """
import numpy as np, seisops as so
model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
src = so.Geometry.line(250.0, depth=20.0, dt=2, t=200)
so.modeling(model, src, src) @ so.ricker(src, f0=0.02)
"""
PROGRAMS = {"import pylops": "import pylops", "import seisops": "import seisops", "first small shot": SHOT}


def main() -> None:
    times = {name: [] for name in PROGRAMS}
    for turn in range(6):
        for name, program in PROGRAMS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            if turn:  # the first turn warms the caches
                times[name].append(time.perf_counter() - start)
    base = np.array(times["import pylops"])
    print(f"{'program':18} {'seconds':>8} {'more than import pylops':>25}")
    for name, values in times.items():
        print(f"{name:18} {np.median(values):8.2f} {np.median(np.array(values) - base):25.2f}")


if __name__ == "__main__":
    main()
