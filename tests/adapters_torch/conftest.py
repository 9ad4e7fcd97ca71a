"""The worlds and operators of the core's tests serve the adapter's too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
