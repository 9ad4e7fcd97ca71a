"""The worlds and operators of the core's tests, and the examples, serve the adapter's too."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]
