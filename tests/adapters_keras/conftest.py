"""One tiny survey for all tests of the Keras adapter, so that few kernels are built."""

import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

from types import SimpleNamespace

import numpy as np
import pytest

import seisops as so
from seisops.wavelets import WaveletWarning

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))


def beginning(geometry: so.Geometry) -> np.ndarray:
    """What a short record holds of a Ricker wavelet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WaveletWarning)
        return so.ricker(geometry, f0=0.02, dtype="float64")


def make(dtype: str) -> SimpleNamespace:
    """Two shots, three receivers off the grid: modelling F, extended sources E, a source q and data weights w."""
    rng = np.random.default_rng(0)
    # As deep as two absorbing strips with their halos: a grid that is shallower takes kernels of its own.
    model = so.Model(v=1.5 + rng.random((9, 13)), spacing=(10, 12), vmax=3.5, dtype=dtype)
    src = so.Geometry(rng.uniform(10, 70, (2, 1, 2)), dt=2.0, t=60.0)
    rec = so.Geometry(rng.uniform(10, 70, (2, 3, 2)), dt=2.0, t=60.0)
    Pr, Ps, A = so.Projection(model, rec), so.Projection(model, src), so.Modeling(model, rec)
    Pw = so.LRWF(model, rec, beginning(rec[0])[0])
    F, E = Pr @ A @ Ps.H, Pr @ A @ Pw.H
    return SimpleNamespace(
        model=model,
        F=F,
        E=E,
        q=beginning(src).astype(dtype),
        m=model.m.copy(),
        dm=(0.02 * rng.standard_normal(model.shape)).astype(dtype),
        w=rng.standard_normal(F.dimsd).astype(dtype),
    )


@pytest.fixture(scope="session")
def double():
    return make("float64")


@pytest.fixture(scope="session")
def single():
    return make("float32")


@pytest.fixture
def rng():
    """The same numbers in every test, whatever has run before."""
    return np.random.default_rng(3)


@pytest.fixture(params=["eager", "graph"])
def mode(request):
    """Run a function as it is, or as a tf.function."""
    import tensorflow as tf

    return tf.function if request.param == "graph" else lambda f: f


@pytest.fixture
def near():
    """Assert that two arrays are equal to a part of the second one's norm, 1e-10 in float64."""

    def check(a, b, tolerance=1e-10):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)

    return check
