"""The worlds and operators of the core's tests, and the examples, serve the adapter's too; two devices of one host."""

import os
import sys
from pathlib import Path

# Before JAX is imported by anything.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"

import jax
import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]

jax.config.update("jax_enable_x64", True)


@pytest.fixture
def single():
    """JAX as it comes, without 64 bits."""
    with jax.enable_x64(False):
        yield
