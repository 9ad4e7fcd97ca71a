"""Every bad input has a message of its own, with the numbers and, where there is one, the remedy."""

import re

import numpy as np
import pylops
import pytest
from zoo import ROUNDING, error, operator, random, world

import seisops as so
from seisops.wavelets import UndersampledWarning

V = np.full((25, 21), 2.0)


def model(**kwargs):
    return so.Model(**({"v": V, "spacing": (10.0, 12.0), "dtype": "float64"} | kwargs))


def geometry(positions=(((105.3, 101.1),),), **kwargs):
    return so.Geometry(positions, **({"dt": 2.0, "t": 120.0} | kwargs))


def raises(error, message):
    """`message` is a regular expression with the numbers a user needs."""
    return pytest.raises(error, match=message)


def spoilt(value, at=(3, 4)):
    v = V.copy()
    v[at] = value
    return v


# ---------------------------------------------------------------------- Model


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 0.0])
@pytest.mark.parametrize("name, what", [("v", "velocity"), ("m", "squared slowness")])
def test_values_that_are_no_velocity(name, what, value):
    with raises(ValueError, rf"The {what} must be positive and finite; 1 of 525 values .* at \(3, 4\): {value}"):
        so.Model(**{name: spoilt(value)}, spacing=10)


def test_velocity_and_slowness():
    with raises(
        ValueError, r"described by m and v\..*one way: Acoustic: m \(squared slowness, s²/km²\), v \(velocity, km/s"
    ):
        model(m=V)
    with raises(ValueError, r"described by no parameter at all\..*Acoustic: m \(squared slowness"):
        so.Model(spacing=10)
    with raises(TypeError, r"Model takes no density"):
        model(density=V)
    with raises(TypeError, r"Acoustic has no parameter 'rho'; it has m \(squared slowness"):
        model().at(rho=V)
    with raises(TypeError, r"v says once more what was given"):
        model().at(m=V, v=V)


def test_a_parameter_by_its_other_name():
    assert np.array_equal(model().at(v=1.1 * V).m, model(v=1.1 * V).m)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4, 5)])
def test_axes_of_the_velocity(shape):
    with raises(ValueError, rf"axes \(x, z\) or \(x, y, z\), got shape \({shape[0]},"):
        so.Model(v=np.ones(shape), spacing=10)


def test_a_single_grid_point():
    with raises(ValueError, r"at least two grid points along every axis, got \(1, 21\)"):
        so.Model(v=np.ones((1, 21)), spacing=10)


@pytest.mark.parametrize("spacing", [0, -10.0, (10, -1)])
def test_spacing_that_is_not_positive(spacing):
    with raises(ValueError, "Grid spacing must be positive, got"):
        model(spacing=spacing)


def test_spacing_that_is_not_finite():
    with raises(ValueError, "spacing must be finite, got"):
        model(spacing=np.nan)


def test_spacing_of_another_number_of_axes():
    with raises(ValueError, r"spacing takes one value or one for each of the 2 axes.*10"):
        model(spacing=(10, 10, 10))


@pytest.mark.parametrize("order", [0, 3, -2, 7])
def test_space_order(order):
    with raises(ValueError, f"space_order must be even and at least 2, got {order}"):
        model(space_order=order)


@pytest.mark.parametrize("absorb", [-1, 2.5])
def test_absorb(absorb):
    with raises(ValueError, f"absorb is a number of cells, 0 or more; got {absorb}"):
        model(absorb=absorb)


@pytest.mark.parametrize("dtype", ["int32", "complex128", "float16"])
def test_dtype(dtype):
    with raises(ValueError, f"dtype must be float32 or float64, got {dtype}"):
        model(dtype=dtype)


def test_time_step_above_the_stability_limit():
    stable = model().dt * 1.1
    with raises(ValueError, rf"2 km/s, is above .* km/s, the stability limit of the time step 4 ms.*dt={stable:.2f}"):
        model(dt=4.0)


@pytest.mark.parametrize("dt", [0.0, -1.0, np.nan])
def test_time_step_that_is_no_step(dt):
    with raises(ValueError, "dt must be positive, got"):
        model(dt=dt)


def test_vmax_below_the_model():
    with raises(ValueError, r"fastest velocity, 2 km/s, is above 1\.5 km/s.*vmax=2\.04"):
        model(vmax=1.5)


@pytest.mark.parametrize("vmax", [0.0, -1.0, np.nan])
def test_vmax_that_is_no_velocity(vmax):
    with raises(ValueError, "vmax must be positive, got"):
        model(vmax=vmax)


def test_a_surface_on_a_shallow_model():
    with raises(ValueError, "9 grid points in depth with space_order = 8; the model has 8"):
        so.Model(v=np.ones((20, 8)), spacing=10, free_surface=True)


def test_unknown_keyword():
    with raises(TypeError, "nbl"):
        model(nbl=20)


def test_a_model_does_not_change():
    fixed = model()
    with raises(AttributeError, r"A Model does not change; for another m use Model\(\.\.\.\) or \.at\(m=\.\.\.\)"):
        fixed.m = V
    with raises(ValueError, "read-only"):
        fixed.m[0, 0] = 1
    with raises(ValueError, "read-only"):
        fixed.v[0, 0] = 1


def test_at_of_another_shape():
    with raises(ValueError, r"shape \(3, 4\), the model has \(25, 21\)"):
        model().at(m=np.ones((3, 4)))


def test_at_of_transposed_values():
    with raises(ValueError, r"shape \(21, 25\), the model has \(25, 21\)"):
        model().at(m=np.ones((21, 25)))


def test_at_too_fast():
    with raises(ValueError, r"fastest velocity, 3 km/s, is above 2\.2\d* km/s.*time step.*vmax=3\.06"):
        world_of_two().at(m=np.full(V.shape, 1 / 9))


def world_of_two():
    return so.Modeling(model(), geometry())


@pytest.mark.parametrize("value", [np.nan, 0.0, -1.0])
def test_at_of_values_that_are_no_slowness(value):
    with raises(ValueError, rf"squared slowness must be positive and finite; 1 of 525 .* at \(3, 4\): {value}"):
        world_of_two().at(m=spoilt(value))


# ---------------------------------------------------------------------- Geometry and wavelets


@pytest.mark.parametrize("positions, shape", [([[1.0, 2.0]], r"\(2,\)"), (np.ones((2, 3, 4)), r"\(3, 4\)")])
def test_positions(positions, shape):
    with raises(ValueError, rf"axes \(shot, point, axis\) .* shot 0 has shape {shape}.*Geometry\.line takes one point"):
        geometry(positions)


def test_positions_that_are_not_finite():
    with raises(ValueError, "Shot 1 has positions that are not finite"):
        geometry([[[1.0, 2.0]], [[np.nan, 2.0]]])


def test_no_shots():
    with raises(ValueError, "at least one shot"):
        geometry([])


def test_positions_of_two_kinds():
    with raises(ValueError, "same number of coordinates"):
        geometry([[[1.0, 2.0]], [[1.0, 2.0, 3.0]]])


@pytest.mark.parametrize("dt", [0.0, -1.0, np.nan])
def test_sampling_interval(dt):
    with raises(ValueError, "sampling interval dt must be positive, got"):
        geometry(dt=dt)


def test_time_given_twice_or_never():
    with raises(ValueError, r"either the recording time t \(ms\) or the number of samples nt"):
        geometry(nt=10)
    with raises(ValueError, r"either the recording time t \(ms\) or the number of samples nt"):
        so.Geometry([[[1.0, 2.0]]], dt=2.0)


@pytest.mark.parametrize("t", [1.0, np.nan, np.inf, -5.0])
def test_recording_time(t):
    with raises(ValueError, rf"at least one sample of 2\.0 ms, got t = {t} ms"):
        geometry(t=t)


@pytest.mark.parametrize("nt", [1, 0, 2.5])
def test_number_of_samples(nt):
    with raises(ValueError, f"whole number of at least 2 samples, got {nt}"):
        geometry(t=None, nt=nt)


def test_split_and_join_of_other_sizes():
    g = geometry(np.ones((2, 3, 2)))
    with raises(ValueError, r"The data have 10 samples, Geometry\(2 shots x 3 points.*has 366"):
        g.split(np.ones(10))
    with raises(ValueError, r"The records have shapes \[\(3, 61\)\].*expects \[\(3, 61\), \(3, 61\)\]"):
        g.join([np.ones((3, 61))])


@pytest.mark.parametrize("index", [2, -3, [0, 2]])
def test_shots_that_do_not_exist(index):
    g = geometry(np.ones((2, 3, 2)))
    with raises(IndexError, r"do not exist among 2 \(0 to 1\)"):
        g[index]
    with raises(IndexError, r"do not exist among 2 \(0 to 1\)"):
        operator("Pr A Ps.H")[index]


@pytest.mark.parametrize("index", [True, np.True_, [[0, 1]], np.zeros((1, 1), int)], ids=repr)
def test_shots_that_are_no_numbers(index):
    for thing in (geometry(np.ones((2, 3, 2))), operator("Pr A Ps.H"), operator("J of F")):
        with raises(IndexError, r"Shots are a whole number, a slice or a list of whole numbers, not .*[01]|True"):
            thing[index]


def test_dependence_that_is_not_read():
    w = world("2d")
    for op in (w.F.toreal(), (w.M @ w.F).toimag(), pylops.Kronecker(w.F, pylops.Identity(1))):
        for call in (
            lambda op: so.Jacobian(op, np.ones(op.shape[1])),
            lambda op: so.fwi(op, np.ones(op.shape[1]), w.d),
        ):
            with raises(NotImplementedError, r"holds .*Pr @ A @ Ps.H.*, whose dependence on m is not read there: make"):
                call(op)


def test_no_shots_selected():
    with raises(IndexError, "select nothing among 2"):
        geometry(np.ones((2, 3, 2)))[2:]


def test_a_shot_of_a_shot():
    with raises(IndexError, "one shot already"):
        geometry()[0][0]
    with raises(IndexError, "one shot already"):
        operator("F[1]")[0]


@pytest.mark.parametrize("f0", [0, -0.01, 0.25, 15, np.nan])
def test_frequency_of_a_ricker(f0):
    with raises(ValueError, rf"f0 = {f0} kHz must lie between 0 and 0\.25 kHz"):
        so.ricker(geometry(), f0)


def test_shape_of_a_wavelet():
    with raises(ValueError, r"A wavelet has shape \(61,\) or \(1, 61\) on Geometry.*got \(2, 61\)"):
        so.wavelet(geometry(), np.ones((2, 61)))
    with raises(ValueError, r"got \(62,\)\. Its 62 samples of 2 ms are longer than the record"):
        so.wavelet(geometry(), np.ones(62))
    with raises(ValueError, "61 samples of the wavelet are not finite"):
        so.wavelet(geometry(), np.full(61, np.nan))


def test_a_wavelet_the_grid_cannot_carry():
    F, q = world("2d").F, so.ricker(world("2d").src, 0.06)
    with pytest.warns(UndersampledWarning, match=r"grid points in the shortest wavelength, where order 8 needs 3.*f0"):
        F @ q


def test_an_extended_wavelet_the_grid_cannot_carry():
    with pytest.warns(UndersampledWarning, match="grid points in the shortest wavelength"):
        so.LRWF(model(), geometry(), so.ricker(geometry(), 0.06)[0])


# ---------------------------------------------------------------------- operators


def test_points_outside():
    with raises(ValueError, r"1 of 2 points lie outside the model, the first at \(250\.0, 10\.0\) m; .* \(240\.0, 240"):
        so.Projection(model(), geometry([[[100.0, 10.0], [250.0, 10.0]]]))


def test_points_on_the_free_surface():
    with raises(ValueError, r"1 points? lie on the free surface.*below 0 m.*6 m"):
        so.Projection(model(free_surface=True), geometry([[[100.0, 10.0], [50.0, 0.0]]]))


def test_points_of_another_number_of_axes():
    with raises(ValueError, "Positions have 3 coordinates, the model has 2 axes"):
        so.Projection(model(), geometry([[[1.0, 2.0, 3.0]]]))


def test_interpolation():
    with raises(ValueError, r"interpolation is one of \['linear', 'sinc'\], got 'cubic'"):
        so.Projection(model(), geometry(), interpolation="cubic")


def test_wavelet_of_an_extended_source():
    with raises(ValueError, r"The wavelet has shape \(61,\) or \(1, 61\).*got \(60,\)"):
        so.LRWF(model(), geometry(), np.ones(60))
    with raises(ValueError, "The wavelet has values that are not finite"):
        so.LRWF(model(), geometry(), np.full(61, np.nan))


@pytest.mark.parametrize("shape", [(2, 1, 60), (61,), (2, 61, 1), (3, 1, 61), (123,)])
def test_input_of_another_shape(shape):
    op = operator("Pr A Ps.H")
    message = re.escape(f"{op} takes an array of shape (2, 1, 61) or (122,), got {shape}.")
    with raises(ValueError, message):
        op @ np.ones(shape)
    with raises(ValueError, message):
        op.jacobian(np.ones(shape))
    with raises(ValueError, message):
        op.linearize(np.ones(shape))


def test_data_of_another_shape():
    with raises(ValueError, r"Ps @ A\.H @ Pr\.H.*takes an array of shape \(2, 3, 61\)"):
        operator("Pr A Ps.H").H @ np.ones((2, 2, 61))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["Pr A Ps.H", "(Pr A Ps.H).H", "Pr", "J of F", "F + F2", "Pr A Pw.H"])
def test_input_that_is_not_finite(name, value):
    op = operator(name)
    x = random(op.dims)
    x.ravel()[:2] = value
    with raises(ValueError, r"The input of .* has 2 values that are not finite"):
        op @ x


@pytest.mark.parametrize("name", ["Pr A Ps.H", "Pr A Pw.H", "J of F", "F + F2"])
def test_derivative_at_what_is_not_finite(name):
    op = operator(name)
    x = random(op.dims)
    x.ravel()[:2] = np.nan
    with raises(ValueError, "has 2 values that are not finite"):
        op.jacobian(x)
    with raises(ValueError, "has 2 values that are not finite"):
        op.linearize(x)


def test_jacobian_of_what_is_constant():
    with raises(ValueError, r"Pr: .* does not depend on m: its Jacobian is zero"):
        operator("Pr").jacobian(random(operator("Pr").dims))
    with raises(ValueError, r"MatrixMult.*holds no operator of this library: it does not depend on m"):
        so.Jacobian(pylops.MatrixMult(np.eye(3)), np.ones(3))


def test_derivative_with_respect_to_something_else():
    F, q = operator("Pr A Ps.H"), world("2d").q
    with raises(ValueError, r"Acoustic has no parameter 'rho': derivatives are with respect to m \(.*\), v \(velocity"):
        so.Jacobian(F, q, wrt="rho")
    with raises(ValueError, r"one or several of m .*, each once; got \('m', 'v'\)"):
        so.Jacobian(F, q, wrt=("m", "v"))


def test_models_of_different_grids():
    w = world("2d")
    other = so.Model(v=V, spacing=(10.0, 12.0), vmax=3.0, dtype="float64")
    with raises(ValueError, r"Cannot multiply Pr: .* by A: .*"):
        w.Pr @ so.Modeling(other, w.rec)
    same_steps = so.Model(v=V, spacing=(10.0, 12.0), dt=w.model.dt, vmax=w.model.vmax, dtype="float64", origin=(5, 5))
    with raises(ValueError, r"Cannot multiply Pr: .* by A: .*their models have different grids, Model\(.*Model\("):
        w.Pr @ so.Modeling(same_steps, w.rec)


def test_shapes_that_do_not_multiply():
    w = world("2d")
    message = (
        r"Cannot multiply A: \(2, 72, 45, 41\) -> \(2, 72, 45, 41\) by P.: \(2, 72, 45, 41\) -> \(2, 1, 61\): "
        r"the left takes \(2, 72, 45, 41\), the right gives \(2, 1, 61\)"
    )
    with raises(ValueError, message):
        w.Pr @ w.A @ w.Ps
    with raises(ValueError, r"MatrixMult: \(3,\) -> \(3,\).*the right gives \(3,\)"):
        w.F @ pylops.MatrixMult(np.eye(3))


def test_shapes_that_do_not_add():
    w = world("2d")
    with raises(ValueError, r"Cannot add Pr @ A @ Ps\.H: .*\(2, 3, 61\) and Pr @ A @ Ps\.H: .*\(2, 2, 16\).*differ"):
        w.F + operator("F coarse")


def test_shots_and_times_that_do_not_agree():
    w = world("2d")
    with raises(ValueError, "need the same shots, model grid and recording time t"):
        w.Pr @ so.Modeling(w.model, w.rec[[0]])
    longer = so.Geometry(w.src.positions, dt=2.0, t=300.0)
    with raises(ValueError, "need the same shots, model grid and recording time t"):
        w.A @ so.Projection(w.model, longer).H


def test_data_that_do_not_fit_an_inversion():
    w = world("2d")
    with raises(ValueError, r"The data have shape \(5,\).*gives \(2, 3, 61\)"):
        so.fwi(w.F, w.q, np.ones(5))
    with raises(ValueError, "The data have 366 samples that are not finite"):
        so.fwi(w.F, w.q, np.nan * w.d)


def test_the_source_of_an_inversion():
    w = world("2d")
    with raises(ValueError, r"takes an array of shape \(2, 1, 61\)"):
        so.fwi(w.F, np.ones(5), w.d)
    with raises(ValueError, "122 values that are not finite"):
        so.fwi(w.F, np.nan * w.q, w.d)
    with raises(ValueError, "MatrixMult.*holds no operator of this library"):
        so.fwi(pylops.MatrixMult(np.eye(3)), np.ones(3), np.ones(3))


@pytest.mark.parametrize("name, value", [("Pr A", 1e308), ("Pr A Pw.H", 1e306), ("Pr A Ps.H", 1e306)])
def test_a_run_that_blows_up(name, value):
    op = operator(name)
    with raises(FloatingPointError, r"The wavefield of Model\(25 x 21.* grew beyond float64 within 72 steps"):
        op @ np.full(op.dims, value)


def test_unknown_setting():
    with raises(TypeError, "colour"), so.config(colour=True):
        pass


def test_a_zero_operator_has_no_dot_test():
    with raises(ValueError, "maps a random vector to zero"):
        so.checks.dot_test(pylops.Zero(3), verbose=False)


def test_a_word_is_no_factor():
    with raises(ValueError, r"^Scalar not allowed, use \* instead$"):
        operator("Pr A Ps.H") @ "abc"


def test_shots_of_a_product_that_adds_them_up():
    J = operator("J of F")
    with raises(TypeError, "S in the middle adds up all of them"):
        (J @ J.H)[[0]]
    # Wherever the sum is: in a sum of products, in an aperture, in a configuration.
    for image in (J.H + 2 * J.H, so.aperture(J, 50.0).H, J.H.configured(reproducible=True)):
        with raises(TypeError, "in the middle adds up all of them"):
            (J @ image)[[0]]


def test_shots_of_what_does_not_know_them():
    w = world("2d")
    G = pylops.MatrixMult(np.ones(w.F.shape))
    ways = r"does not say what a shot is.*ShotWise.*select the shots of its other factors"
    for op in (w.F @ w.N, so.compose(w.M @ w.F), w.F + G, so.compose(G + w.F), so.compose(w.M @ w.F) + w.F):
        for call in (
            lambda op=op: op[0],
            lambda op=op: op[[1, 0]],
            lambda op=op: so.fwi(op, np.ones(op.shape[1]), np.ones(op.shape[0]), shots=[0]),
            lambda op=op: so.hessian(op, np.ones(op.shape[1]), np.ones(op.shape[0]), shots=[0]),
        ):
            with raises(TypeError, ways):
                call()
    for call in (lambda: (w.F @ w.N).shots_in(w.q, [0]), lambda: so.compose(w.M @ w.F).shots_out(w.d, [0])):
        with raises(TypeError, ways):
            call()


def test_derivative_at_complex_input():
    w = world("2d")
    with raises(TypeError, "take the real and the imaginary part apart"):
        w.F.jacobian(1j * w.q)


def test_transposed_nodes_of_pylops_are_read():
    w = world("2d")
    assert so.Jacobian((w.M @ w.F).T, w.d).dims == w.model.shape


def test_operators_on_several_grids_have_no_common_model():
    w = world("2d")
    other = so.Model(v=w.model.v, spacing=(20.0, 24.0), dtype="float64")
    G = so.Projection(other, w.rec) @ so.Modeling(other, w.rec) @ so.Projection(other, w.src).H
    between = w.F.H @ pylops.Identity(w.F.shape[0]) @ G
    assert error((w.F + G) @ w.q, w.F @ w.q + G @ w.q) <= ROUNDING
    for op in (w.F + G, between):
        calls = (op.at, {"m": w.model.m}), (op.jacobian, {"x": w.q}), (op.linearize, {"x": w.q})
        for call, given in calls:
            with raises(ValueError, "on another grid or time step than Model"):
                call(**given)


def test_operators_hidden_in_others_have_no_derivative():
    w = world("2d")
    op, x = so.compose(w.F.H @ w.F.toreal()), np.ones(w.F.shape[1])
    assert np.isfinite(op @ x).all()
    for call in (lambda: op.at(m=w.model.m), lambda: op.jacobian(x)):
        with raises(NotImplementedError, "whose dependence on m is not read there"):
            call()


def test_objectives_of_complex_records():
    w = world("2d")
    for call in (lambda: so.fwi(1j * w.F, w.q, 1j * w.d), lambda: so.lsrtm(1j * w.J, 1j * w.d)):
        with raises(TypeError, "A misfit is of real records"):
            call()


def test_memory_counts_a_background_once():
    J = operator("J of F")
    expected = J.memory(verbose=False).background
    assert expected > 0
    for op in (J.configured(reproducible=True), J.H @ J):
        assert op.memory(verbose=False).background == expected
