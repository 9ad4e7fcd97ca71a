"""Surveys in one line: positions from coordinates, the modelling of sources and receivers."""

import numpy as np
import pytest

import seisops as so

AXIS = {"dt": 2.0, "t": 60.0}


def test_a_line_has_one_point_in_every_shot():
    src = so.Geometry.line([100, 200, 300], depth=20, **AXIS)
    assert src.shape == (3, 1, 31)
    np.testing.assert_array_equal(np.concatenate(src.positions), [[100, 20], [200, 20], [300, 20]])


def test_depths_follow_the_points():
    src = so.Geometry.line([100, 200], depth=[20, 25], **AXIS)
    np.testing.assert_array_equal(np.concatenate(src.positions), [[100, 20], [200, 25]])
    well = so.Geometry.spread(250, depth=[10, 20, 30], nsrc=1, **AXIS)
    np.testing.assert_array_equal(well.positions[0], [[250, 10], [250, 20], [250, 30]])


def test_a_spread_has_the_same_points_in_every_shot():
    rec = so.Geometry.spread([0, 50, 100], depth=5, nsrc=2, dt=2, nt=11)
    assert rec.shape == (2, 3, 11) and not rec.ragged
    for points in rec.positions:
        np.testing.assert_array_equal(points, [[0, 5], [50, 5], [100, 5]])
        assert not points.flags.writeable


def test_points_in_3d_have_their_depth_last():
    x, y = np.array([10.0, 20.0, 30.0]), np.array([1.0, 2.0])
    line = so.Geometry.line(x, y=7, depth=5, **AXIS)
    np.testing.assert_array_equal(line.positions[1], [[20, 7, 5]])
    carpet = so.Geometry.spread(x[:, None], y=y[None], depth=0, nsrc=1, **AXIS)
    assert carpet.npoint == 6 and carpet.ndim == 3
    np.testing.assert_array_equal(carpet.positions[0][[1, 2]], [[10, 2, 0], [20, 1, 0]])


def test_coordinates_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="one length or be single numbers: \\(3,\\), \\(2,\\)"):
        so.Geometry.line([1, 2, 3], depth=[1, 2], **AXIS)


def test_modeling_is_the_product_of_its_factors():
    model = so.Model(v=np.full((31, 21), 2.0), spacing=10)
    src = so.Geometry.line([100, 200], depth=20, **AXIS)
    rec = so.Geometry.spread([55.5, 150, 250], depth=30, nsrc=2, **AXIS)
    F, q = so.modeling(model, src, rec), so.ricker(src, f0=0.03, t0=30, dtype="float64")
    product = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    assert repr(F) == repr(product)
    np.testing.assert_array_equal(F @ q, product @ q)
    faster = 0.9 * model.m
    np.testing.assert_array_equal(F.at(m=faster) @ q, product.at(m=faster) @ q)


def test_dir_shows_what_users_need():
    assert {"Geometry", "modeling", "fwi"} <= set(dir(so))
    assert not {"arrays", "bridge", "execution", "operators", "propagators"} & set(dir(so))
