"""Memory and time to read the geometry of a SEG-Y file of 2 GB, in a fresh process (Linux)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from seisops.segy.file import trace_words

NT, RECEIVERS, SIZE = 501, 480, 2e9

READ = """
import re, sys, time
import seisops as so

def memory(key):
    return int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

open("/proc/self/clear_refs", "w").write("5")  # the peak of what follows, not of the imports
before, start = memory("VmRSS"), time.perf_counter()
data, src, rec = so.segy.read(sys.argv[1])
print(data)
print(f"{time.perf_counter() - start:.1f} s, {memory('VmHWM') - before:.0f} MB over {before:.0f} MB of imports")
start = time.perf_counter()
data[len(data) // 2]
print(f"a shot: {time.perf_counter() - start:.3f} s; in all {memory('VmHWM') - before:.0f} MB")
"""


def write(path: Path) -> None:
    """A survey of zeros, by the block: what is measured is reading."""
    words = ("FieldRecord", "SourceX", "SourceDepth", "GroupX", "TRACE_SAMPLE_COUNT", "TRACE_SAMPLE_INTERVAL")
    layout = trace_words()
    dtype = np.dtype({"names": words, "formats": [f">i{layout[w][1]}" for w in words],
                      "offsets": [layout[w][0] - 1 for w in words], "itemsize": 240 + 4 * NT})  # fmt: skip
    shots = int(SIZE / dtype.itemsize / RECEIVERS)
    binary = np.zeros(200, ">i2")
    binary[[8, 10, 12]] = 2000, NT, 5
    with open(path, "wb") as file:
        file.write(bytes(3200) + binary.tobytes())
        for i in range(shots):
            traces = np.zeros(RECEIVERS, dtype)
            for word, value in zip(
                words, (i + 1, 50 * i, 6, 50 * i + 25 * np.arange(RECEIVERS), NT, 2000), strict=True
            ):
                traces[word] = value
            file.write(traces.tobytes())
    print(f"{shots} shots of {RECEIVERS} traces of {NT} samples: {path.stat().st_size / 1e9:.2f} GB")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.segy"
        write(path)
        for _ in range(2):
            subprocess.run([sys.executable, "-c", READ, path], check=True)


if __name__ == "__main__":
    main()
