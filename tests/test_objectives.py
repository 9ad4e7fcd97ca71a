"""Objectives: exact gradients with every misfit and both preconditioners, what they cost, shots, Hessian, wavelet."""

import numpy as np
import pylops
import pytest
from scipy.optimize import minimize
from zoo import DOT, ROUNDING, SLOPE, Stored, error, operator, random, world

import seisops as so
from seisops import checks
from seisops import preconditioners as pre


class Least4:
    """A misfit of a user's own, with its curvature."""

    def __call__(self, d_syn, d_obs):
        r = d_syn - d_obs
        return 0.25 * np.sum(r**4), r**3

    def curvature(self, d_syn, d_obs):
        return pylops.Diagonal(3 * (d_syn - d_obs).ravel() ** 2)


# Thresholds in the middle of what residuals of unit size take.
MISFITS = {
    "l2": so.misfits.L2(),
    "huber": so.misfits.Huber(delta=1.0),
    "student": so.misfits.StudentT(scale=0.8, nu=3.0),
    "envelope": so.misfits.Envelope(),
    "correlation": so.misfits.CrossCorrelation(),
    "transport": so.misfits.OptimalTransport(shift=8.0),
    "own": Least4(),
}
every = pytest.mark.parametrize("misfit", MISFITS.values(), ids=MISFITS)


class Case:
    """A survey with sources that make records of unit size, and both preconditioners, neither of them symmetric."""

    def __init__(self, name="Pr A Ps.H"):
        w = world("2d")
        self.F, self.model = operator(name), w.model
        self.q = random(self.F.dims, 5)
        self.q /= (self.F @ self.q).std()
        self.d = random(self.F.dimsd, 6)
        self.J = self.F.jacobian(self.q)
        rec = w.ragged if "ragged" in name else w.rec
        mute = pre.reflection_mute(rec, w.src, velocity=3.0, t0=20.0, taper=30.0, dtype="float64")
        # Time in units of the records' sampling, so that they keep their size.
        self.P = (rec.dt**0.5 * pre.time_derivative(rec, 0.5, dtype="float64")) @ mute
        self.M = pre.smoothing(self.model, 30.0) @ pre.depth_scaling(self.model)

    def slots(self):
        return {"data_precon": self.P, "model_precon": self.M}


def assert_gradient(function, x, step=0.1):
    """Slopes uphill: in a random direction the first-order term of a number may come out small by chance."""
    gradient = function(x)[1]
    dx = step * np.sign(gradient) * np.random.default_rng(7).random(gradient.shape)
    result = checks.taylor_test(
        lambda y: function(y)[0], gradient, x, dm=dx, steps=np.logspace(-1.5, -4.5, 7), verbose=False
    )
    assert result.slopes == pytest.approx((1, 2), abs=SLOPE)


# ---------------------------------------------------------------------- gradients


@every
@pytest.mark.parametrize("slots", [False, True], ids=["bare", "preconditioned"])
def test_gradient_of_fwi(misfit, slots):
    c = Case()
    m0 = c.model.m
    chosen = c.slots() if slots else {}
    M = c.M if slots else pylops.Identity(m0.size)

    def f(p):
        F = c.F.at(m=m0 + (M @ p.ravel()).reshape(m0.shape))
        return so.fwi(F, c.q, c.d, misfit=misfit, **chosen)

    assert_gradient(f, np.zeros(m0.shape), step=0.02 * m0.mean())


@every
@pytest.mark.parametrize("slots", [False, True], ids=["bare", "preconditioned"])
def test_gradient_of_lsrtm(misfit, slots):
    c = Case()
    dm = 0.1 * c.model.m * random(c.model.shape, 8)
    chosen = c.slots() if slots else {}
    assert_gradient(lambda x: so.lsrtm(c.J, c.d, x, misfit=misfit, **chosen), dm, step=0.02 * c.model.m.mean())


@pytest.mark.parametrize("name", ["Pr A Ps.H", "Pr A Pw.H", "F ragged", "2 F", "F + F2"])
def test_the_gradient_of_fwi_goes_back_through_the_preconditioners(name):
    c = Case(name)
    J, P, M = c.J, c.P, c.M
    value, gradient = so.fwi(c.F, c.q, c.d, **c.slots())
    residual = P @ (c.F @ c.q) - P @ c.d
    assert value == pytest.approx(0.5 * np.sum(residual**2), rel=ROUNDING)
    assert error(gradient, M.H @ J.rmatvec(P.rmatvec(residual.ravel())).reshape(M.dims)) <= ROUNDING


@pytest.mark.parametrize("misfit", [MISFITS["l2"], MISFITS["envelope"], MISFITS["own"]], ids=["l2", "envelope", "own"])
@pytest.mark.parametrize("stack", [pylops.VStack, pylops.BlockDiag], ids=["VStack", "BlockDiag"])
def test_several_surveys_are_inverted_as_their_sum(stack, misfit):
    """The records of one source, and those of a source for each; each misfit sees the records of one shot."""
    one, other = Case("Pr A Ps.H"), Case("F ragged")
    cases = [one, other]
    sources = [one.q, one.q if stack is pylops.VStack else other.q]
    F, q = (
        stack([c.F for c in cases]),
        one.q if stack is pylops.VStack else np.concatenate([x.ravel() for x in sources]),
    )
    d = np.concatenate([c.d.ravel() for c in cases])
    P, dm = pylops.BlockDiag([c.P for c in cases]), 0.1 * one.model.m * random(one.model.shape, 8)
    slots = {"misfit": misfit, "model_precon": one.M}

    def total(function):
        parts = [function(c, x) for c, x in zip(cases, sources, strict=True)]
        return sum(v for v, _ in parts), sum(g for _, g in parts)

    pairs = [
        (so.fwi(F, q, d, data_precon=P, **slots), total(lambda c, x: so.fwi(c.F, x, c.d, data_precon=c.P, **slots))),
        (so.lsrtm(so.Jacobian(F, q), d, dm, data_precon=P, **slots),
         total(lambda c, x: so.lsrtm(c.F.jacobian(x), c.d, dm, data_precon=c.P, **slots))),
        (so.lsrtm(stack([c.F.jacobian(x) for c, x in zip(cases, sources, strict=True)]), d, dm, **slots),
         total(lambda c, x: so.lsrtm(c.F.jacobian(x), c.d, dm, **slots))) if stack is pylops.VStack else None,
    ]  # fmt: skip
    for found, expected in filter(None, pairs):
        assert found[0] == pytest.approx(expected[0], rel=ROUNDING)
        assert error(found[1], expected[1]) <= ROUNDING
    H = so.hessian(F, q, d, data_precon=P, misfit=misfit)
    each = [so.hessian(c.F, x, c.d, data_precon=c.P, misfit=misfit) @ dm for c, x in zip(cases, sources, strict=True)]
    assert error(H @ dm, sum(each)) <= ROUNDING


@pytest.mark.parametrize("name", ["Pr A Ps.H", "F ragged"])
def test_the_gradient_of_lsrtm_is_the_adjoint_on_the_residual(name):
    c = Case(name)
    J, P, M = c.J, c.P, c.M
    p = random(M.dims, 9)
    value, gradient = so.lsrtm(J, c.d, p, **c.slots())
    residual = P @ (J @ (M @ p)) - P @ c.d
    assert value == pytest.approx(0.5 * np.sum(residual**2), rel=ROUNDING)
    assert error(gradient, M.H @ J.rmatvec(P.rmatvec(residual.ravel())).reshape(M.dims)) <= ROUNDING
    # At zero, where no march is needed for the data, it is the migration.
    value, gradient = so.lsrtm(J, c.d)
    assert value == pytest.approx(0.5 * np.sum(c.d**2), rel=ROUNDING)
    assert error(gradient, -(J.H @ c.d)) <= ROUNDING


def test_lsrtm_of_any_linear_operator():
    A, x, d = pylops.MatrixMult(random((7, 5))), random(5, 1), random(7, 2)
    value, gradient = so.lsrtm(A, d, x)
    assert value == pytest.approx(0.5 * np.sum((A @ x - d) ** 2), rel=ROUNDING)
    assert error(gradient, A.H @ (A @ x - d)) <= ROUNDING


def test_operators_of_pylops_in_the_slots():
    c = Case()
    D = pylops.FirstDerivative(c.F.dimsd, axis=-1, kind="forward")
    M = pylops.Diagonal(np.linspace(1, 2, c.model.m.size))
    residual = D @ (c.F @ c.q - c.d)
    value, gradient = so.fwi(c.F, c.q, c.d, data_precon=D, model_precon=M)
    assert value == pytest.approx(0.5 * np.sum(residual**2), rel=ROUNDING)
    assert error(gradient, M.H @ (c.J.H @ (D.H @ residual.ravel()))) <= ROUNDING
    assert gradient.shape == M.dims


def test_products_of_pylops_are_read_through():
    c = Case()
    D = pylops.FirstDerivative(c.F.dimsd, axis=-1, kind="forward")
    slot = so.fwi(c.F, c.q, c.d, data_precon=D)
    assert error(so.fwi(D @ c.F, c.q, D @ c.d)[1], slot[1]) <= ROUNDING


def test_single_precision_keeps_its_gradient():
    w, c = world("2d-float32"), Case()
    q, d = c.q.astype(np.float32), c.d.astype(np.float32)
    P = pre.time_derivative(w.rec, 0.5)
    wide = so.fwi(c.F, c.q, c.d, data_precon=pre.time_derivative(w.rec, 0.5, dtype="float64"))
    value, gradient = so.fwi(w.F, q, d, data_precon=P)
    # The rounding of a march over its steps.
    assert value == pytest.approx(wide[0], rel=1e-4)
    assert error(gradient, wide[1]) <= 1e-4
    assert gradient.dtype == np.float64


# Numbers between half a unit and two, which integers and half precision round each in their way.
KINDS_OF_RECORDS = {
    "int16": lambda d: np.rint(20 * d).astype(np.int16),
    "int64": lambda d: np.rint(20 * d).astype(np.int64),
    "float16": lambda d: d.astype(np.float16),
    "float32": lambda d: d.astype(np.float32),
}
SLOTS = {
    "bare": lambda c: {},
    "gain": lambda c: {"data_precon": pre.gain(world("2d").rec, 1.0, dtype="float64")},
    "both": lambda c: c.slots(),
    "pylops": lambda c: {"data_precon": pylops.FirstDerivative(c.F.dimsd, axis=-1, kind="forward")},
}


@pytest.mark.parametrize("slots", SLOTS)
@pytest.mark.parametrize("kind", KINDS_OF_RECORDS)
def test_records_of_other_types(kind, slots):
    c = Case()
    d, slots = KINDS_OF_RECORDS[kind](c.d), SLOTS[slots](c)
    wide = d.astype(np.float64)
    calls = [
        lambda d: so.fwi(c.F, c.q, d, **slots),
        lambda d: so.lsrtm(c.J, d, **slots),
        lambda d: [so.hessian(c.F, c.q, d, misfit=MISFITS["student"], **slots) @ (0.1 * c.model.m).ravel()],
    ]
    if not isinstance(slots.get("data_precon"), pylops.FirstDerivative):
        calls += [lambda d: so.fwi(c.F, c.q, d, shots=[1], **slots), lambda d: so.lsrtm(c.J, d, shots=[1], **slots)]
    for call in calls:
        for given, expected in zip(call(d), call(wide), strict=True):
            assert np.array_equal(given, expected)
    assert np.array_equal(so.fwi(c.F, c.q, Stored(d), **slots)[1], so.fwi(c.F, c.q, wide, **slots)[1])


# ---------------------------------------------------------------------- records of surveys whose shots differ


@every
def test_shots_that_differ_in_their_receivers(misfit):
    c = Case("F ragged")
    value, gradient = so.fwi(c.F, c.q, c.d, misfit=misfit, data_precon=c.P)
    parts = [so.fwi(c.F[[i]], c.q[[i]], c.F.shots_out(c.d, [i]), misfit=misfit, data_precon=c.P[[i]]) for i in (0, 1)]
    assert value == pytest.approx(sum(v for v, _ in parts), rel=ROUNDING)
    assert error(gradient, sum(g for _, g in parts)) <= ROUNDING
    dm = 0.1 * c.model.m
    value, gradient = so.lsrtm(c.J, c.d, dm, misfit=misfit, data_precon=c.P)
    parts = [so.lsrtm(c.J[[i]], c.F.shots_out(c.d, [i]), dm, misfit=misfit, data_precon=c.P[[i]]) for i in (0, 1)]
    assert value == pytest.approx(sum(v for v, _ in parts), rel=ROUNDING)
    assert error(gradient, sum(g for _, g in parts)) <= ROUNDING


def test_traces_that_cannot_be_told_apart():
    c = Case("F ragged")
    D = pylops.Diagonal(np.ones(c.F.shape[0]))
    assert error(so.fwi(c.F, c.q, c.d, data_precon=D)[1], so.fwi(c.F, c.q, c.d)[1]) <= ROUNDING
    with pytest.raises(ValueError, match="CrossCorrelation compares traces"):
        so.fwi(c.F, c.q, c.d, misfit=so.misfits.CrossCorrelation(), data_precon=D)


# ---------------------------------------------------------------------- shots


@pytest.mark.parametrize("shots", [1, [1, 0], slice(0, 1), [1]], ids=str)
@pytest.mark.parametrize("name", ["Pr A Ps.H", "F ragged"])
def test_some_shots(name, shots):
    c = Case(name)
    index = [shots] if isinstance(shots, int) else shots
    q, d = c.q[index], c.F.shots_out(c.d, index)
    some = so.fwi(c.F, c.q, c.d, shots=shots, **c.slots())
    alone = so.fwi(c.F[index], q, d, data_precon=c.P[index], model_precon=c.M)
    assert some[0] == pytest.approx(alone[0], rel=ROUNDING)
    assert error(some[1], alone[1]) <= ROUNDING
    p = random(c.M.dims, 9)
    some = so.lsrtm(c.J, c.d, p, shots=shots, **c.slots())
    alone = so.lsrtm(c.J[index], d, p, data_precon=c.P[index], model_precon=c.M)
    assert some[0] == pytest.approx(alone[0], rel=ROUNDING)
    assert error(some[1], alone[1]) <= ROUNDING


@every
def test_one_shot_without_its_axis(misfit):
    c = Case()
    value, gradient = so.fwi(c.F[1], c.q[1], c.d[1], misfit=misfit, data_precon=c.P[1], model_precon=c.M)
    expected = so.fwi(c.F, c.q, c.d, misfit=misfit, shots=1, **c.slots())
    assert value == pytest.approx(expected[0], rel=ROUNDING)
    assert error(gradient, expected[1]) <= ROUNDING


def test_batches_are_unbiased():
    c = Case()
    whole = so.fwi(c.F, c.q, c.d)
    parts = [so.fwi(c.F, c.q, c.d, shots=batch) for batch in so.random_batches(2, 1, seed=0)]
    assert np.mean([2 * v for v, _ in parts]) == pytest.approx(whole[0], rel=ROUNDING)
    assert error(np.mean([2 * g for _, g in parts], axis=0), whole[1]) <= ROUNDING


@pytest.mark.parametrize("shots", [None, [1], [1, 0]])
def test_records_stored_elsewhere_come_shot_by_shot(shots):
    c = Case()
    d = Stored(c.d)
    value, gradient = so.fwi(c.F, c.q, d, shots=shots, **c.slots())
    assert sorted((i.start, i.stop) for i in d.asked) == [(i, i + 1) for i in sorted(shots or (0, 1))]
    expected = so.fwi(c.F, c.q, c.d, shots=shots, **c.slots())
    assert value == expected[0] and np.array_equal(gradient, expected[1])


@pytest.mark.parametrize("name", ["Pr A Ps.H", "M F"])
def test_records_stored_elsewhere_come_at_once_where_an_operator_mixes_shots(name):
    c = Case(name)
    P = pylops.Diagonal(random(c.d.size, 7), dtype="float64")
    d = Stored(c.d)
    value, gradient = so.fwi(c.F, c.q, d, data_precon=P)
    expected = so.fwi(c.F, c.q, c.d, data_precon=P)
    assert d.asked and value == expected[0] and np.array_equal(gradient, expected[1])


def test_records_stored_elsewhere_are_looked_at():
    c = Case()
    d = Stored(c.d.copy())
    d.d[1, 0, 3] = np.nan
    with pytest.raises(ValueError, match="The data have 1 samples that are not finite"):
        so.fwi(c.F, c.q, d)
    with pytest.raises(ValueError, match="The data have shape"):
        so.fwi(c.F, c.q, Stored(c.d[:, 1:]))


@pytest.mark.parametrize("nsrc, size", [(16, 4), (10, 4), (3, 3), (5, 1)])
def test_batches_hold_every_shot_once(nsrc, size):
    batches = so.random_batches(nsrc, size, seed=1)
    assert sorted(np.concatenate(batches).tolist()) == list(range(nsrc))
    assert max(len(b) for b in batches) <= size
    again = so.random_batches(nsrc, size, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))
    rng = np.random.default_rng(1)
    assert np.array_equal(so.random_batches(nsrc, size, seed=rng)[0], batches[0])


def test_every_shot_is_as_likely():
    rng = np.random.default_rng(0)
    counts = np.zeros(6)
    for _ in range(2000):
        counts[so.random_batches(6, 4, seed=rng)[0]] += 1
    # The first of two batches of three: a half, with the deviation of 2000 coins.
    assert np.abs(counts / 2000 - 0.5).max() < 5 * 0.5 / np.sqrt(2000)


# ---------------------------------------------------------------------- cost


@every
def test_marches(misfit, counted):
    c = Case()
    assert counted(lambda: so.fwi(c.F, c.q, c.d, misfit=misfit, **c.slots())) == 2
    assert counted(lambda: so.fwi(c.F, c.q, c.d, misfit=misfit, shots=[1], **c.slots())) == 1, "one of two shots"
    dm = 0.1 * c.model.m
    assert counted(lambda: so.lsrtm(c.J, c.d, dm, misfit=misfit)) == 3, "the background is kept from now on"
    assert counted(lambda: so.lsrtm(c.J, c.d, dm, misfit=misfit, **c.slots())) == 2


def test_marches_at_zero(counted):
    c = Case()
    so.lsrtm(c.J, c.d)
    assert counted(lambda: so.lsrtm(c.J, c.d)) == 1


def test_marches_of_the_hessian(counted):
    c = Case()
    dm = 0.1 * c.model.m
    made = []
    assert counted(lambda: made.append(so.hessian(c.F, c.q, c.d))) == 1
    H = made[0]
    H @ dm
    assert counted(lambda: H @ dm) == 4


# ---------------------------------------------------------------------- in solvers


def test_in_an_optimiser_of_scipy():
    c = Case()
    d = c.J @ (0.1 * c.model.m)
    start = so.lsrtm(c.J, d, np.zeros(c.model.shape))[0]
    scale = 1 / start
    # Of a quadratic: what one step of steepest descent with the exact length leaves.
    g = c.J.H @ d
    step = 1 - 0.5 * scale * np.vdot(g, g) ** 2 / np.linalg.norm(c.J @ g) ** 2
    for method in ("L-BFGS-B", "CG"):

        def f(x):
            value, gradient = so.lsrtm(c.J, d, x)
            return scale * value, scale * gradient.ravel()

        result = minimize(f, np.zeros(c.model.m.size), jac=True, method=method, options={"maxiter": 3})
        assert result.fun < step
    # The gradient has the model's shape: L-BFGS-B takes it as it is.
    result = minimize(
        lambda x: so.lsrtm(c.J, d, x.reshape(c.model.shape)),
        np.zeros(c.model.m.size),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 3},
    )
    assert result.fun < step * start


def test_a_plain_loop_and_a_solver_agree():
    c = Case()
    d = (c.J @ (0.1 * c.model.m)).ravel()
    # Steepest descent with the exact step is the first iteration of CGLS.
    _, g = so.lsrtm(c.J, d, model_precon=c.M)
    JM = so.compose(c.J @ c.M)
    Jg = JM @ g.ravel()
    step = np.vdot(g, g) / np.vdot(Jg, Jg)
    assert error(-step * g.ravel(), np.ravel(pylops.cgls(JM, d, niter=1, tol=0)[0])) <= 1e-10


# ---------------------------------------------------------------------- Hessian


@every
def test_hessian(misfit):
    c = Case()
    H = so.hessian(c.F, c.q, c.d, misfit=misfit)
    dm = 0.02 * c.model.m.mean() * random(c.model.shape, 4)
    result = checks.taylor_test(
        lambda m: so.fwi(c.F.at(m=m), c.q, c.d, misfit=misfit)[1],
        H,
        c.model.m,
        dm=dm,
        # Steps that change few of the best assignments, where transport has kinks, or of Huber's large residuals.
        steps=np.logspace(-3, -5.5, 6) if misfit in (MISFITS["transport"], MISFITS["huber"]) else None,
        verbose=False,
    )
    assert result.slopes == pytest.approx((1, 2), abs=SLOPE)
    assert error(H.matvec(dm.ravel()), H.rmatvec(dm.ravel())) <= ROUNDING
    assert checks.dot_test(H, verbose=False) <= DOT["float64"]


@pytest.mark.parametrize("name", ["Pr A Ps.H", "F ragged"])
def test_hessian_with_preconditioners(name):
    c = Case(name)
    misfit = so.misfits.Envelope()
    H = so.hessian(c.F, c.q, c.d, misfit=misfit, shots=[1], **c.slots())
    m0 = c.model.m

    def gradient(p):
        F = c.F.at(m=m0 + (c.M @ p.ravel()).reshape(m0.shape))
        return so.fwi(F, c.q, c.d, misfit=misfit, shots=[1], **c.slots())[1]

    dp = 0.02 * m0.mean() * random(c.M.dims, 4)
    result = checks.taylor_test(gradient, H, np.zeros(c.M.dims), dm=dp, verbose=False)
    assert result.slopes == pytest.approx((1, 2), abs=SLOPE)
    assert (H @ dp).shape == c.M.dims
    assert checks.dot_test(H, verbose=False) <= DOT["float64"]


@pytest.mark.parametrize("name", ["M F", "F + F2", "2 F", "Pr A Pw.H"])
def test_hessian_of_other_products(name):
    op = operator(name)
    x, d = random(op.dims, 5), random(op.dimsd, 6)
    H = so.hessian(op, x, d)
    dm = 0.02 * op.model.m.mean() * random(op.model.shape, 4)
    result = checks.taylor_test(lambda m: so.fwi(op.at(m=m), x, d)[1], H, op.model.m, dm=dm, verbose=False)
    assert result.slopes == pytest.approx((1, 2), abs=SLOPE)


def test_at_the_solution_the_hessian_is_that_of_gauss_and_newton():
    c = Case()
    dm = random(c.model.shape, 4)
    H = so.hessian(c.F, c.q, c.F @ c.q)
    assert error(H @ dm, c.J.H @ (c.J @ dm)) <= ROUNDING


def test_gauss_newton_of_a_misfit():
    c = Case()
    misfit = MISFITS["student"]
    W = misfit.curvature(c.F @ c.q, c.d)
    dm = random(c.model.shape, 4)
    expected = c.J.H @ (W @ (c.J @ dm).ravel())
    assert error((c.J.H @ W @ c.J) @ dm.ravel(), expected) <= ROUNDING


# ---------------------------------------------------------------------- wavelet


def test_wavelet_of_the_data():
    w = world("2d")
    true = so.ricker(w.src, f0=0.025, amplitude=3.0, dtype="float64")
    q = so.estimate_wavelet(w.F, so.ricker(w.src, f0=0.02, dtype="float64"), w.F @ true)
    assert q.shape == w.F.dims
    assert error(w.F @ q, w.F @ true) <= 1e-3
    assert np.array_equal(q[0], q[1])


@pytest.mark.parametrize("damp", [1.0, 5.0])
def test_wavelet_is_the_least_squares_solution(damp):
    w = world("2d")
    start, d = so.ricker(w.src, f0=0.02, dtype="float64"), w.F @ so.ricker(w.src, f0=0.03, dtype="float64") + w.d
    columns = [(w.F @ np.broadcast_to(e, w.F.dims)).ravel() for e in np.eye(w.src.nt)]
    G, missing = np.stack(columns, axis=1), (d - w.F @ start).ravel()
    expected = np.linalg.solve(G.T @ G + damp**2 * np.eye(w.src.nt), G.T @ missing)
    q = so.estimate_wavelet(w.F, start, d, iterations=60, damp=damp)
    assert error((q - start)[0, 0], expected) <= 1e-9


def test_wavelet_costs_two_marches_an_iteration(counted):
    w = world("2d")
    q = so.ricker(w.src, f0=0.02, dtype="float64")
    before = counted(lambda: so.estimate_wavelet(w.F, q, w.d, iterations=1))
    assert counted(lambda: so.estimate_wavelet(w.F, q, w.d, iterations=6)) == before + 2 * 5


@pytest.mark.parametrize("name", ["F ragged", "F + F2", "2 F", "F[1]", "M F"])
def test_wavelet_of_other_products(name):
    op = operator(name)
    true = np.broadcast_to(so.ricker(world("2d").src, f0=0.025, dtype="float64")[0], op.dims)
    q = so.estimate_wavelet(op, np.zeros(op.dims), op @ true, iterations=40)
    assert error(op @ q, op @ true) <= 1e-3


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize("objective", [so.fwi, so.hessian, lambda F, q, d, **k: so.lsrtm(F.jacobian(q), d, **k)])
def test_data_that_do_not_fit(objective):
    c = Case()
    with pytest.raises(ValueError, match=r"The data have shape \(3,\)"):
        objective(c.F, c.q, np.zeros(3))
    d = c.d.copy()
    d[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="1 samples that are not finite"):
        objective(c.F, c.q, d)


def test_what_does_not_depend_on_the_model():
    with pytest.raises(ValueError, match="does not depend on m"):
        so.fwi(pylops.Identity(5), np.zeros(5), np.zeros(5))


@pytest.mark.parametrize("precon", ["data_precon"])
def test_shots_of_a_foreign_preconditioner_are_unknown(precon):
    c = Case()
    D = pylops.FirstDerivative(c.F.dimsd, axis=-1)
    for call in (
        lambda: so.fwi(c.F, c.q, c.d, data_precon=D, shots=[0]),
        lambda: so.lsrtm(c.J, c.d, data_precon=D, shots=[0]),
    ):
        with pytest.raises(TypeError, match=r"Cannot select shots of FirstDerivative.*ShotWise"):
            call()
    with pytest.raises(TypeError, match="Cannot select shots of MatrixMult"):
        so.lsrtm(pylops.MatrixMult(np.eye(3)), np.ones(3), shots=[0])
    with pytest.raises(IndexError, match="Shots 5 do not exist among 2"):
        so.fwi(c.F, c.q, c.d, shots=5)


def test_preconditioners_that_do_not_fit():
    c = Case()
    wrong = pylops.Identity(3)
    for slot, message in (("data_precon", "Cannot multiply Identity"), ("model_precon", "Identity.*no model|multiply")):
        for call in (so.fwi, so.hessian, lambda F, q, d, **k: so.lsrtm(c.J, d, **k)):
            with pytest.raises(ValueError, match=message):
                call(c.F, c.q, c.d, **{slot: wrong})


def test_misfits_that_are_none():
    c = Case()
    with pytest.raises(ValueError, match=r"residual of shape \(3,\) for records of \(1, 3, 61\)"):
        so.fwi(c.F, c.q, c.d, misfit=lambda s, d: (0.0, np.zeros(3)))
    with pytest.raises(ValueError, match="not finite"):
        so.lsrtm(c.J, c.d, misfit=lambda s, d: (np.nan, s))
    with pytest.raises(ValueError, match=r"method curvature\(d_syn, d_obs\)"):
        so.hessian(c.F, c.q, c.d, misfit=lambda s, d: (0.0, s))


def test_wavelets_of_what_has_no_point_sources():
    E = operator("Pr A Pw.H")
    with pytest.raises(ValueError, match=r"F must end in Ps\.H"):
        so.estimate_wavelet(E, np.zeros(E.dims), np.zeros(E.dimsd))


@pytest.mark.parametrize("size", [0, 5])
def test_batches_of_a_size_that_makes_no_sense(size):
    with pytest.raises(ValueError, match="1 to 4 of 4 shots"):
        so.random_batches(4, size)
