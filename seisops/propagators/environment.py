"""What kernels are compiled and run with on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess

import devito
from devito import configuration

from seisops.propagators.kernels import cache_folder


def environment() -> dict[str, str]:
    """What compiles, where to, and on what it runs, by name."""
    compiler = configuration["compiler"]
    command = str(getattr(compiler, "CC", "") or "cc")
    found = shutil.which(command)
    version = _first_line([command, "--version"]) if found else "not found: install a C compiler, such as gcc"
    folder = cache_folder()
    count = len(list(folder.glob("*.pickle"))) if folder.is_dir() else 0
    return {
        "Devito": f"{devito.__version__}, platform {configuration['platform']}, language {configuration['language']}",
        "compiler": f"{command}: {version}",
        "kernels": f"{count} in {folder}" + ("" if _writable(folder) else ", which cannot be written to"),
        "accelerator": _accelerator(),
    }


def _accelerator() -> str:
    listed = _first_line(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
    used = "used" if "nvidia" in str(configuration["platform"]).lower() else "not used: see docs/scale.md"
    return f"{listed} ({used})" if listed else "none found"


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().partition("\n")[0]


def _writable(folder) -> bool:
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)
