"""Things of another kind than was expected: what was expected is said in the words of the user."""

import numpy as np
import pytest
from zoo import world

import seisops as so


@pytest.mark.parametrize("kind", [so.Projection, so.Modeling])
def test_arguments_in_the_other_order(kind):
    w = world("2d")
    with pytest.raises(TypeError, match=rf"{kind.__name__} takes \(model, geometry\); these are in the other order"):
        kind(w.rec, w.model)
    with pytest.raises(TypeError, match=r"the first is a Model, got ndarray"):
        kind(w.model.v, w.rec)
    with pytest.raises(TypeError, match=r"the second is a Geometry, got ndarray"):
        kind(w.model, w.rec.positions[0])


def test_arguments_of_an_extended_source_in_the_other_order():
    w = world("2d")
    with pytest.raises(TypeError, match=r"LRWF takes \(model, geometry\); these are in the other order"):
        so.LRWF(w.rec, w.model, w.wavelet)


def test_a_survey_in_the_place_of_a_model():
    w = world("2d")
    with pytest.raises(TypeError, match=r"modeling takes \(model, src, rec\).*got \(Geometry, Model, Geometry\)"):
        so.modeling(w.rec, w.model, w.src)


@pytest.mark.parametrize("name", ["ricker", "wavelet"])
def test_a_wavelet_of_a_model(name):
    with pytest.raises(
        TypeError, match=rf"so.{name} takes the Geometry of the sources first, got Model: so.{name}\(src"
    ):
        getattr(so, name)(world("2d").model, 0.01)


def test_a_forgotten_adjoint():
    w = world("2d")
    with pytest.raises(ValueError, match=r"Its adjoint fits: Pr @ A @ Pr\.H\.$"):
        w.Pr @ w.A @ w.Ps
    with pytest.raises(ValueError, match=r"Its adjoint fits: Pr @ A @ Ps\.H @ \(Pr @ A @ Ps\.H\)\.H\.$"):
        w.F @ w.F
    with pytest.raises(ValueError, match=r"The adjoint of the left fits: Pr\.H @ Pr @ A @ Ps\.H|same shots"):
        w.Ps @ w.F
    with pytest.raises(ValueError, match=r"The adjoint of the left fits: Pr @ "):
        w.Pr.H @ w.A


@pytest.mark.parametrize("call", [so.fwi, so.hessian])
def test_a_misfit_that_is_none(call):
    w = world("2d")
    with pytest.raises(TypeError, match=r"misfit is a function .*got 'l2': write so\.misfits\.L2\(\), or another of"):
        call(w.F, w.q, w.d, misfit="l2")
    with pytest.raises(TypeError, match=r"write so\.misfits\.Huber\(\.\.\.\), with parentheses"):
        call(w.F, w.q, w.d, misfit=so.misfits.Huber)


def test_a_misfit_of_linear_data_that_is_none():
    w = world("2d")
    with pytest.raises(TypeError, match=r"write so\.misfits\.Huber"):
        so.lsrtm(w.J, w.d, misfit="huber")


def test_a_layer_of_two_widths():
    with pytest.raises(
        TypeError, match=r"absorb is one number of cells for all sides, got \(10, 20\): write absorb=20"
    ):
        so.Model(v=np.full((25, 21), 2.0), spacing=10, absorb=(10, 20))


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*newdir' to keep backgrounds in: .*mkdir"):
        so.storage.Disk(str(tmp_path / "newdir"))
    assert so.storage.Disk(str(tmp_path)).folder == str(tmp_path)
