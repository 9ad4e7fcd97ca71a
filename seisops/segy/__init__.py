"""Shot records in SEG-Y files: read out of core, with the survey that their headers describe, and written."""

from seisops.segy.reading import Shots, read
from seisops.segy.writing import write

__all__ = ["Shots", "read", "write"]
