"""Complex numbers where real ones belong are refused by name: NumPy would drop their imaginary parts."""

import numpy as np
import pylops
import pytest
from zoo import world

import seisops as so
from seisops import preconditioners as pre


def complexified(x):
    return np.asarray(x) * (1 + 1j)


class Misfit:
    """Two numbers of a user's, of which one is complex."""

    def __init__(self, value, residual):
        self.factors = value, residual

    def __call__(self, d_syn, d_obs):
        r = d_syn - d_obs
        return self.factors[0] * np.sum(r**2), self.factors[1] * r


C = complexified
CALLS = {
    "Model v": lambda w: so.Model(v=C(w.model.v), spacing=10.0),
    "Model m": lambda w: so.Model(m=C(w.model.m), spacing=10.0),
    "Model spacing": lambda w: so.Model(v=w.model.v, spacing=C([10.0, 10.0])),
    "Model origin": lambda w: so.Model(v=w.model.v, spacing=10.0, origin=C([10.0, 10.0])),
    "Model.at": lambda w: w.model.at(m=C(w.model.m)),
    "F.at": lambda w: w.F.at(m=C(w.model.m)),
    "Geometry": lambda w: so.Geometry(C(w.rec.positions), dt=2.0, t=120.0),
    "LRWF": lambda w: so.LRWF(w.model, w.rec, C(w.wavelet)),
    "Encoding": lambda w: so.Encoding(C([[1.0, 2.0]])),
    "Scattering": lambda w: so.Scattering(w.model, w.rec, w.A @ w.Ps.H, C(w.q)),
    "VirtualSource": lambda w: so.VirtualSource(w.model, w.rec, None, C(w.dm)),
    "Weighting": lambda w: so.imaging.Weighting(w.model, None, C(w.dm)),
    "jacobian": lambda w: w.F.jacobian(C(w.q)),
    "linearize": lambda w: w.F.linearize(C(w.q)),
    "wavelet": lambda w: so.wavelet(w.src, C(np.ones(w.src.nt))),
    "ricker": lambda w: so.ricker(w.src, 0.02, amplitude=1j),
    "resample": lambda w: so.resample(C(w.q), w.src, 3.0),
    "smooth": lambda w: so.models.smooth(C(w.model.v), 2),
    "fwi d": lambda w: so.fwi(w.F, w.q, C(w.d)),
    "fwi q": lambda w: so.fwi(w.F, C(w.q), w.d),
    "fwi of one shot": lambda w: so.fwi(w.F, w.q, C(w.d), shots=[1]),
    "lsrtm d": lambda w: so.lsrtm(w.J, C(w.d)),
    "lsrtm dm": lambda w: so.lsrtm(w.J, w.d, C(w.dm)),
    "hessian d": lambda w: so.hessian(w.F, w.q, C(w.d)),
    "hessian q": lambda w: so.hessian(w.F, C(w.q), w.d),
    "wavelet d": lambda w: so.estimate_wavelet(w.F, w.q, C(w.d)),
    "wavelet q": lambda w: so.estimate_wavelet(w.F, C(w.q), w.d),
    "value": lambda w: so.fwi(w.F, w.q, w.d, misfit=Misfit(1j, 1)),
    "residual": lambda w: so.fwi(w.F, w.q, w.d, misfit=Misfit(1, 1j)),
    "model_precon": lambda w: so.fwi(w.F, w.q, w.d, model_precon=1j * pylops.Identity(w.dm.size, dtype="complex128")),
    "ShotWise": lambda w: pre.ShotWise(
        lambda g: pylops.Diagonal(1j * np.ones(g.shape[-2:])), w.rec, dtype="float64"
    ) @ w.d,
    "band_pass": lambda w: pre.band_pass(w.rec, C([0.01, 0.02, 0.03, 0.04])),
    "top_mute": lambda w: pre.top_mute(w.model, C(np.full(25, 50.0))),
    "illumination": lambda w: pre.illumination(w.A @ w.Ps.H, C(w.q)),
    "taylor_test": lambda w: so.checks.taylor_test(lambda m: m.sum(), np.ones(3), C(np.ones(3)), verbose=False),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_complex_numbers_are_refused(name):
    with pytest.raises(TypeError, match=r"real.*take the real and the imaginary part apart"):
        CALLS[name](world("2d"))


@pytest.mark.parametrize("objective", [so.fwi, so.hessian, lambda F, q, d, **k: so.lsrtm(F.jacobian(q), d, **k)])
def test_complex_preconditioners_of_records_are_refused(objective):
    w = world("2d")
    P = pylops.signalprocessing.FFT(w.F.dimsd, axis=-1, dtype="complex128")
    with pytest.raises(TypeError, match=r"A misfit is of real records, _FFT_numpy.*is complex"):
        objective(w.F, w.q, w.d, data_precon=P)
