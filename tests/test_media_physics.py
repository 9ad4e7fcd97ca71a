"""Media against closed forms, against one another, and in the long run.

Green's functions with the sign of e^{iωt}: of a speed c in the plane g = -i/4 H0(ωr/c). A volume source in a medium of
density gives p = ρ g, a force the displacement ρ⁻¹ (δij gs/vs² + ω⁻² ∂i∂j (gs - gp)), a moment M I the displacement
-M / (ρ vp²) ∇gp (Carcione, Kosloff and Kosloff, 1988, Geophysics 53, appendix B).
"""

import numpy as np
import pytest
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import hankel2
from zoo import error, media

import seisops as so

# Waves that travel far, of more media than `make test` has.
pytestmark = pytest.mark.long

N, DX, DT, T, F0 = 161, 5.0, 1.0, 500.0, 0.02
VP, VS, RHO, Q = 2.0, 1.2, 1.8, 30.0
MIDDLE = (N - 1) * DX / 2
SOURCE = np.array([MIDDLE + 1.3, MIDDLE - 0.7])
RECEIVERS = SOURCE + np.array([[180.0, 123.4], [-61.5, 241.1], [150.0, -160.0]])


class Whole:
    """A homogeneous whole space, and its responses to a Ricker wavelet of 8 points in the shortest wave of its band."""

    def __init__(self, **values):
        options = {name: values.pop(name) for name in ("f_ref", "space_order") if name in values}
        earth = {name: np.full((N, N), x) for name, x in values.items()}
        self.model = so.Model(spacing=DX, absorb=20, dtype="float64", **earth, **options)
        self.src, self.rec = so.Geometry([[SOURCE]], dt=DT, t=T), so.Geometry([RECEIVERS], dt=DT, t=T)
        self.q = so.ricker(self.src, F0).astype(float)
        self.samples = next_fast_len(8 * self.q.size)
        self.w = 2 * np.pi * np.fft.rfftfreq(self.samples, DT)
        self.x = RECEIVERS - SOURCE
        self.r = np.hypot(*self.x.T)[:, None]

    def record(self, source, receiver):
        """Of a source of one over the area of a cell."""
        Ps, Pr = (so.Projection(self.model, g, component=c) for g, c in ((self.src, source), (self.rec, receiver)))
        return ((Pr @ so.Modeling(self.model, self.rec) @ Ps.H) @ (self.q / DX**2))[0]

    def series(self, spectrum):
        """The answer to the wavelet, of a spectrum (..., frequency) of the answer to an impulse."""
        spectrum = np.where(self.w > 0, spectrum, 0) * rfft(self.q.ravel(), self.samples)
        return irfft(spectrum, self.samples)[..., : self.q.size]

    @property
    def _w(self):
        return np.where(self.w > 0, self.w, 1.0)

    def g(self, c, r=None):
        return -0.25j * hankel2(0, self._w / c * (self.r if r is None else r))

    def gradient(self, c):
        """∂i g of axes (component, receiver, frequency)."""
        k = self._w / c
        return (0.25j * k * hankel2(1, k * self.r)) * (self.x.T[:, :, None] / self.r)

    def curvature(self, c):
        """∂i∂j g."""
        k, r = self._w / c, self.r
        first, zero = hankel2(1, k * r), hankel2(0, k * r)
        along, across = 0.25j * k * (k * zero - first / r), 0.25j * k * first / r
        e = self.x.T[:, :, None] / r
        one = np.eye(2)[:, :, None, None]
        return along * e[:, None] * e[None] + across * (one - e[:, None] * e[None])


def test_pressure_with_density():
    w = Whole(v=VP, rho=RHO)
    assert error(w.record("p", "p"), w.series(RHO * w.g(VP))) <= 1e-3


def test_forces_with_density():
    w = Whole(v=VP, rho=RHO)
    u = -w.curvature(VP) / (RHO * w._w**2)
    for j, axis in enumerate("xz"):
        assert error(w.record(axis, ("x", "z")), w.series(1j * w.w * u[:, j])) <= 1e-3


def test_elliptic_anisotropy():
    epsilon = 0.2
    w = Whole(v=VP, epsilon=epsilon, delta=epsilon, rho=RHO)
    stretch = np.sqrt(1 + 2 * epsilon)
    r = np.hypot(w.x[:, 0] / stretch, w.x[:, 1])[:, None]
    # The horizontal stress is that much larger than the vertical, and a volume source works on both.
    share = ((1 + stretch) / 2) ** 2
    assert error(w.record("p", "p"), w.series(share * RHO / stretch * w.g(VP, r))) <= 2e-3


@pytest.mark.parametrize("theta", [0.0, 30.0, -70.0])
def test_elliptic_anisotropy_about_a_tilted_axis(theta):
    epsilon = 0.2
    w = Whole(v=VP, epsilon=epsilon, delta=epsilon, rho=RHO, theta=theta)
    stretch, tilt = np.sqrt(1 + 2 * epsilon), np.deg2rad(theta)
    along = w.x @ [np.sin(tilt), np.cos(tilt)]
    across = w.x @ [np.cos(tilt), -np.sin(tilt)]
    r = np.hypot(across / stretch, along)[:, None]
    share = ((1 + stretch) / 2) ** 2
    assert error(w.record("p", "p"), w.series(share * RHO / stretch * w.g(VP, r))) <= 5e-3


@pytest.mark.parametrize("quality", [15.0, 30.0, 1000.0])
def test_attenuation(quality):
    w = Whole(v=VP, Q=quality, rho=RHO, f_ref=F0)
    c = attenuated(w, VP, quality)
    assert error(w.record("p", "p"), w.series(RHO * w.g(c))) <= 5e-3


def attenuated(w, speed, quality):
    """The complex speed of standard linear solids, which is `speed` at the frequency of reference."""
    relaxation, known = w.model.medium.relaxation, {"Q": quality, "sqrt": np.sqrt}
    strengths = [eval(formula, known) for formula in relaxation.strengths("Q")]
    # The modulus in proportion to the relaxed one.
    modulus = 1 + sum(s * 1j * w.w * t / (1 + 1j * w.w * t) for s, t in zip(strengths, relaxation.times, strict=True))
    c = speed * np.sqrt(modulus / eval(relaxation.softening("Q"), known))
    # At the frequency of reference waves travel with the speed and lose a part 1/Q.
    here = np.argmin(np.abs(w.w - 2 * np.pi * F0))
    assert 1 / np.real(1 / c[here]) == pytest.approx(speed, rel=1e-3)
    assert np.real(modulus[here]) / np.imag(modulus[here]) == pytest.approx(quality, rel=0.05)
    return c


def test_forces_in_a_solid():
    w = Whole(vp=VP, vs=VS, rho=RHO)
    one = np.eye(2)[:, :, None, None]
    u = (one * w.g(VS) / VS**2 + (w.curvature(VS) - w.curvature(VP)) / w._w**2) / RHO
    for j, axis in enumerate("xz"):
        assert error(w.record(axis, ("x", "z")), w.series(1j * w.w * u[:, j])) <= 5e-3


def test_waves_along_a_free_surface():
    """An explosion below it and what runs along it (Garvin, 1956), 15 points in the shortest wave, by plane waves."""
    depth, far, f0 = 20.3, np.array([34.0, 76.0, 130.0, 175.0]), 0.006
    earth = {name: np.full((141, 101), x) for name, x in (("vp", VP), ("vs", VS), ("rho", RHO))}
    # Long waves want a long layer.
    model = so.Model(spacing=DX, absorb=40, dtype="float64", free_surface=True, **earth)
    src = so.Geometry([[[251.3, depth]]], dt=DT, t=600.0)
    rec = so.Geometry([[[251.3 + x, 0.0] for x in far]], dt=DT, t=600.0)
    q = so.ricker(src, f0).astype(float)
    Ps = so.Projection(model, src, component={"xx": 1.0, "zz": 1.0})
    Pr = so.Projection(model, rec, component=("x", "z"))
    found = ((Pr @ so.Modeling(model, rec) @ Ps.H) @ (q / DX**2))[0]
    # Waves that come back over the edge of a period have been damped by then.
    samples, eta, k = next_fast_len(2 * q.size), 6 / 600.0, np.arange(-0.6, 0.6, 2 * np.pi / 6000)
    taper = np.cos(np.pi / 2 * np.clip(2 * np.abs(k) / 0.6 - 1, 0, 1)) ** 2
    waves = np.exp(1j * k * far[:, None]) * taper * (k[1] - k[0]) / (2 * np.pi)
    t, w = np.arange(samples) * DT, 2 * np.pi * np.fft.rfftfreq(samples, DT) - 1j * eta
    source = rfft(np.pad(q.ravel(), (0, samples - q.size)) * np.exp(-eta * t))
    expected = np.zeros((2, len(far), len(w)), complex)
    for i in np.flatnonzero(np.abs(source) > 1e-6 * np.abs(source).max()):
        p, s = (np.sqrt(k**2 - (w[i] / c) ** 2) for c in (VP, VS))
        shear, bent = -((w[i] / VS) ** 2), 2 * k**2 - (w[i] / VS) ** 2
        potential = -np.exp(-p * depth) * shear / (bent**2 - 4 * k**2 * p * s) / (RHO * VP**2)
        velocity = 1j * w[i] * np.stack([2j * k * s, bent]) * potential
        expected[..., i] = source[i] * np.einsum("xk,ck->cx", waves, velocity)
    assert error(found, (irfft(expected, samples) * np.exp(eta * t))[..., : q.size]) <= 0.005


def test_forces_in_an_attenuating_solid():
    w = Whole(vp=VP, vs=VS, rho=RHO, Qp=30.0, Qs=20.0, f_ref=F0)
    P, S = attenuated(w, VP, 30.0), attenuated(w, VS, 20.0)
    one = np.eye(2)[:, :, None, None]
    u = (one * w.g(S) / S**2 + (w.curvature(S) - w.curvature(P)) / w._w**2) / RHO
    for j, axis in enumerate("xz"):
        assert error(w.record(axis, ("x", "z")), w.series(1j * w.w * u[:, j])) <= 5e-3


@pytest.mark.parametrize("epsilon, delta", [(0.0, 0.0), (0.2, -0.1)])
def test_forces_in_a_solid_with_an_axis(epsilon, delta):
    """Against a sum of plane waves, of which the solid without anisotropy tells whether it is right."""
    w = Whole(vp=VP, vs=VS, rho=RHO, epsilon=epsilon, delta=delta)
    c33, c44, c11 = RHO * VP**2, RHO * VS**2, RHO * VP**2 * (1 + 2 * epsilon)
    c13 = np.sqrt((c33 - c44) * ((1 + 2 * delta) * c33 - c44)) - c44
    # Waves that come back over the edge of a period have been damped by then.
    length, largest, eta = 2500.0, 0.8, 5 / T
    k = np.arange(-largest, largest, 2 * np.pi / length)
    kx, kz = np.meshgrid(k, k, indexing="ij")
    taper = np.cos(np.pi / 2 * np.clip(2 * np.hypot(kx, kz) / largest - 1, 0, 1)) ** 2
    waves = np.exp(1j * (kx[..., None] * w.x[:, 0] + kz[..., None] * w.x[:, 1])) * taper[..., None]
    a, b, c = c11 * kx**2 + c44 * kz**2, c44 * kx**2 + c33 * kz**2, (c13 + c44) * kx * kz
    t = np.arange(w.samples) * DT
    q = np.zeros(w.samples)
    q[: w.q.size] = w.q.ravel()
    source, found = rfft(q * np.exp(-eta * t)), np.zeros((2, 2, 3, len(w.w)), complex)
    for i in np.flatnonzero(np.abs(source) > 1e-6 * np.abs(source).max()):
        s = RHO * (w.w[i] - 1j * eta) ** 2
        u = np.stack([[b - s, -c], [-c, a - s]]) / ((a - s) * (b - s) - c**2)
        velocity = 1j * (w.w[i] - 1j * eta) * np.tensordot(u, waves, 2) / length**2
        found[..., i] = velocity * source[i]
    expected = (irfft(found, w.samples) * np.exp(eta * t))[..., : w.q.size]
    for j, axis in enumerate("xz"):
        assert error(w.record(axis, ("x", "z")), expected[:, j]) <= 5e-3


def test_explosions_in_a_solid():
    w = Whole(vp=VP, vs=VS, rho=RHO)
    u = -w.gradient(VP) / (RHO * VP**2)
    assert error(w.record({"xx": 1.0, "zz": 1.0}, ("x", "z")), w.series(1j * w.w * u)) <= 5e-3
    # A volume is worth the moment K I, and the pressure is -K ∇·u.
    share = ((VP**2 - VS**2) / VP**2) ** 2
    assert error(w.record("p", "p"), w.series(share * RHO * w.g(VP))) <= 5e-3


# ---------------------------------------------------------------------- media in one another

SHAPE = (41, 37)


def earth(seed=1, **ranges):
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(*r, SHAPE) if isinstance(r, tuple) else np.full(SHAPE, r) for name, r in ranges.items()}


def pressure(smooth=False, absorb=10, options=(), **parameters):
    """A record of a source of 8 points in its shortest wave, on one time axis for all."""
    if smooth:
        parameters = {name: so.models.smooth(x, 3) for name, x in parameters.items()}
    model = so.Model(
        spacing=10.0, absorb=absorb, vmax=3.2, dt=1.2, dtype="float64", **parameters, **dict(options)
    )  # fmt: skip
    src = so.Geometry([[[203.3, 103.1]]], dt=2.0, t=400.0)
    rec = so.Geometry([[[60.0, 41.7], [333.3, 260.0], [151.0, 301.0]]], dt=2.0, t=400.0)
    return so.modeling(model, src, rec) @ so.ricker(src, 0.008)


def test_a_density_of_one_is_none():
    p = earth(v=(1.8, 2.4))
    assert error(pressure(smooth=True, **p, rho=np.ones(SHAPE)), pressure(smooth=True, **p)) <= 1e-3


def test_a_fluid_is_a_solid_without_shear():
    p = earth(v=(1.5, 2.5), rho=(1.0, 2.0))
    solid = {"vp": p["v"], "vs": np.zeros(SHAPE), "rho": p["rho"]}
    # The same scheme in other words: sums in another order. Their layers differ.
    assert error(pressure(absorb=0, **solid), pressure(absorb=0, **p)) <= 1e-10
    assert error(pressure(**solid), pressure(**p)) <= 1e-3


def test_an_earth_without_anisotropy_is_isotropic():
    p = earth(v=(1.5, 2.5), rho=(1.0, 2.0))
    assert error(pressure(**p, epsilon=np.zeros(SHAPE), delta=np.zeros(SHAPE)), pressure(**p)) <= 1e-10


def test_a_solid_without_anisotropy_is_isotropic():
    p = earth(vp=(1.5, 2.5), vs=(0.4, 1.0), rho=(1.0, 2.0))
    none = np.zeros(SHAPE)
    assert error(pressure(**p, epsilon=none, delta=none, gamma=none), pressure(**p)) <= 1e-10


def test_a_solid_with_an_axis_that_does_not_shear_is_a_fluid():
    p = earth(v=(1.5, 2.5), rho=(1.0, 2.0), epsilon=(0.1, 0.2), delta=(-0.1, 0.1))
    solid = pressure(vp=p["v"], vs=np.zeros(SHAPE), **{name: p[name] for name in ("rho", "epsilon", "delta")})
    # Their layers differ.
    assert error(solid, pressure(**p)) <= 1e-3


@pytest.mark.parametrize("delta, samples", [(0.2, None), (0.1, 80)])
def test_a_tilt_of_nothing_is_none(delta, samples):
    """Until, after 160 ms, there is an echo from where ε goes to δ beside the model."""
    p = earth(v=(1.8, 2.4), epsilon=0.2, delta=delta)
    p["v"] = so.models.smooth(p["v"], 3)
    level = pressure(**p)[..., :samples]
    assert error(pressure(theta=np.zeros(SHAPE), **p)[..., :samples], level) <= 1e-3
    # A tilt of a right angle exchanges the axes.
    assert error(pressure(theta=np.full(SHAPE, 90.0), **p)[..., :samples], level) > 0.1


def test_an_infinite_quality_is_none():
    p = earth(v=(1.5, 2.5), rho=(1.0, 2.0))
    lossy = pressure(**p, Q=np.full(SHAPE, 1e9), options={"f_ref": 0.008})
    # What is left of it is 1/Q.
    assert error(lossy, pressure(**p)) <= 1e-7


def test_a_fluid_ends_at_a_surface_as_it_is_mirrored_there():
    n = 81
    v, rho = 2 + 0.01 * np.arange(n) * np.ones((n, 1)), np.full((n, n), 1.5)

    def record(**p):
        model = so.Model(spacing=10.0, dt=1.2, vmax=3.5, dtype="float64", free_surface=True, **p)
        src = so.Geometry([[[203.3, 43.1]]], dt=2.0, t=500.0)
        rec = so.Geometry([[[303.3, 61.7], [505.0, 33.3], [411.0, 301.0]]], dt=2.0, t=500.0)
        return so.modeling(model, src, rec) @ so.ricker(src, 0.006)

    assert error(record(vp=v, vs=0 * v, rho=rho), record(v=v, rho=rho)) <= 0.005


def test_lame_parameters_are_velocities():
    p = earth(vp=(1.5, 2.5), vs=(0.4, 1.0), rho=(1.0, 2.0))
    model = so.Model(spacing=10.0, dtype="float64", **p)
    mu = p["rho"] * p["vs"] ** 2
    lam = p["rho"] * p["vp"] ** 2 - 2 * mu
    same = so.Model(spacing=10.0, dtype="float64", lam=lam, mu=mu, rho=p["rho"])
    for name in ("vp", "vs", "rho", "lam", "mu"):
        assert error(getattr(same, name), getattr(model, name)) <= 1e-14
    with pytest.raises(ValueError, match=r"lam says something of a medium together with .*mu: give it too"):
        so.Model(spacing=10.0, lam=lam, vs=p["vs"], rho=p["rho"])
    assert error(model.at(mu=1.1 * mu).vs, np.sqrt(1.1) * p["vs"]) <= 1e-14


# ---------------------------------------------------------------------- what waves do

MEDIA = {
    "density": {"v": (1.5, 4.0), "rho": (1.0, 3.0)},
    "VTI": {"v": (1.5, 3.5), "epsilon": (0.2, 0.3), "delta": (-0.1, 0.15), "rho": (1.0, 3.0)},
    "attenuating": {"v": (1.5, 4.0), "Q": (10.0, 100.0), "rho": (1.0, 3.0)},
    "elastic": {"vp": (2.0, 4.0), "vs": (0.0, 1.4), "rho": (1.0, 3.0)},
    "TTI": {"v": (1.5, 3.5), "epsilon": (0.2, 0.3), "delta": (-0.1, 0.15), "theta": (-90.0, 90.0), "rho": (1.0, 2.0)},
    "elastic VTI": {
        "vp": (2.0, 4.0),
        "vs": (0.0, 1.4),
        "rho": (1.0, 3.0),
        "epsilon": (0.2, 0.3),
        "delta": (-0.1, 0.15),
    },
    "viscoelastic": {"vp": (2.0, 4.0), "vs": (0.0, 1.4), "rho": (1.0, 3.0), "Qp": (20.0, 40.0), "Qs": (30.0, 60.0)},
}


def modelled(name, shape=(31, 27), **options):
    rng = np.random.default_rng(5)
    parameters = {n: rng.uniform(*r, shape) for n, r in MEDIA[name].items()}
    more = {"f_ref": 0.02} if "Q" in parameters or "Qp" in parameters else {}
    return so.Model(spacing=10.0, **parameters, **more, **options)


@media(["density", "VTI", "elastic", "elastic, surface"])
def test_reciprocity_of_components(name):
    """The velocity along x of a force along z is that along z of a force along x the other way."""
    # A layer stretches differences on one side of the medium only: the waves in it are not reciprocal.
    model = modelled(name.removesuffix(", surface"), dtype="float64", absorb=0, free_surface="surface" in name)
    here, there = (so.Geometry([[x]], dt=2.0, t=300.0) for x in ([41.0, 60.3], [223.3, 180.0]))
    A, q = so.Modeling(model, here), so.ricker(here, 0.01)

    def record(source, force, receiver, velocity):
        return (
            so.Projection(model, receiver, component=velocity) @ A @ so.Projection(model, source, component=force).H @ q
        )

    assert error(record(here, "z", there, "x"), record(there, "x", here, "z")) <= 1e-10
    assert error(record(here, "p", there, "p"), record(there, "p", here, "p")) <= 1e-10


@media([*MEDIA, "elastic, surface"])
def test_nothing_grows_in_the_long_run(name):
    """20 000 steps in white noise, near the stability limit.

    Waves of two cells, which noise of the tilt makes of others, stand still for central differences: they fall slowly.
    """
    model = modelled(name.removesuffix(", surface"), shape=(37, 31), absorb=10, free_surface="surface" in name)
    t = 20000 * model.dt
    src = so.Geometry([[[151.0, 103.3]]], dt=t / 3000, t=t)
    # A wavelet that leaves no volume behind, which a solid would hold for ever.
    d = (so.modeling(model, src, src) @ so.ricker(src, 0.004))[0, 0]
    later, last = (np.abs(d[part]).max() for part in (slice(600, 800), slice(-200, None)))
    # What grows does so by orders of magnitude within these steps; what does not has fallen by half at least.
    assert last < (0.8 if name == "TTI" else 0.5) * later
    assert later < 0.5 * np.abs(d).max()


@pytest.mark.parametrize(
    "name, values, decibel",
    [
        ("density", {"v": 2.0, "rho": 1.8}, -75),
        ("elastic", {"vp": 2.0, "vs": 1.2, "rho": 1.8}, -60),
        pytest.param("VTI", {"v": 2.0, "epsilon": 0.2, "delta": 0.1}, -75, marks=pytest.mark.long),
        pytest.param("TTI", {"v": 2.0, "epsilon": 0.2, "delta": 0.1, "theta": 40.0}, -40, marks=pytest.mark.long),
    ],
)
def test_reflection_of_the_layer(name, values, decibel):
    n, t = 81, 700.0

    def record(pad):
        shape = (n + 2 * pad,) * 2
        model = so.Model(spacing=10.0, dtype="float64", **{k: np.full(shape, x) for k, x in values.items()})
        shift = 10.0 * pad
        x = np.stack([np.arange(3.3, (n - 4) * 10.0, 20.0), np.full(39, 103.3)], 1)
        src, rec = so.Geometry([[[shift + 403.3, shift + 103.3]]], dt=2.0, t=t), so.Geometry([shift + x], dt=2.0, t=t)
        return so.modeling(model, src, rec) @ so.ricker(src, 0.01)

    # So far out that nothing comes back within the time.
    reference = record(75)
    assert 20 * np.log10(np.abs(record(0) - reference).max() / np.abs(reference).max()) <= decibel
