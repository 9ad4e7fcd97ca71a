"""What is saved comes back with all that is needed to go on, and records of shots are indexed by shot."""

import numpy as np
import pylops
import pytest
from zoo import world

import seisops as so


@pytest.mark.parametrize("kind", ["2d", "surface-float32", "3d"])
def test_a_run_goes_on_from_its_file(kind, tmp_path):
    w = world(kind)
    model = w.model.at(v=0.95 * w.model.v)
    so.save(tmp_path / "run.h5", model=model, src=w.src, rec=w.rec, q=w.q, image=w.dm, f0=0.02, note="ü", n=3)
    run = so.load(tmp_path / "run.h5")
    assert run["model"].grid_key == model.grid_key and np.array_equal(run["model"].m, model.m)
    assert repr(run["model"]) == repr(model)
    assert run["src"] == w.src and run["rec"] == w.rec
    assert np.array_equal(run["image"], w.dm) and run["image"].dtype == w.dm.dtype
    assert (run["f0"], run["note"], run["n"]) == (0.02, "ü", 3)
    F = so.modeling(run["model"], run["src"], run["rec"])
    assert np.array_equal(F @ run["q"], w.F.at(m=model.m) @ w.q)


def test_surveys_of_all_kinds_come_back(tmp_path):
    w = world("2d")
    odd = so.Geometry(w.src.positions, dt=2.0, t=121.0)
    surveys = {"ragged": w.ragged, "one": w.rec[0], "part": w.rec[[1]], "odd": odd, "fine": w.fine}
    so.save(tmp_path / "s.h5", **surveys)
    loaded = so.load(tmp_path / "s.h5")
    assert loaded == surveys
    assert loaded["one"].single and loaded["odd"].t == 121.0


def test_records_come_back(tmp_path):
    w = world("2d")
    d = so.Records(w.ragged, np.arange(float(w.ragged.shape[0])))
    so.save(tmp_path / "d.h5", d=d)
    loaded = so.load(tmp_path / "d.h5")["d"]
    assert loaded.geometry == w.ragged and np.array_equal(np.asarray(loaded), np.asarray(d))


def test_what_no_file_holds(tmp_path):
    w = world("2d")
    so.save(tmp_path / "run.h5", n=1)
    with pytest.raises(
        TypeError, match=r"F is of type Chain: files hold models.*Of an operator save what it is made of"
    ):
        so.save(tmp_path / "run.h5", F=w.F)
    with pytest.raises(ValueError, match=r"know files \.h5, got run\.npz"):
        so.save(tmp_path / "run.npz", n=1)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        so.load(tmp_path / "other.h5")
    # What was there is still there, and nothing beside it.
    assert so.load(tmp_path / "run.h5") == {"n": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5"]


def test_files_of_others(tmp_path):
    import h5py

    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["v"] = np.ones((3, 3))
    with pytest.raises(ValueError, match=r"v\.h5 was not written by so\.save.*so\.models\.load"):
        so.load(tmp_path / "v.h5")
    so.save(tmp_path / "new.h5", n=1)
    with h5py.File(tmp_path / "new.h5", "a") as file:
        file.attrs["seisops"] = 99
    with pytest.raises(ValueError, match=r"new\.h5 has format 99, this version reads up to 2: update seisops"):
        so.load(tmp_path / "new.h5")


def test_records_are_shots_and_a_vector():
    w = world("2d")
    F = w.samplers(w.ragged)
    q = w.q
    whole = F @ q
    d = so.Records(w.ragged, whole)
    assert len(d) == 2 and d[0].shape == (3, 61) and d[1].shape == (2, 61) and d[-1] is d._shots[-1]
    assert np.array_equal(np.concatenate([record.ravel() for record in d]), whole)
    assert np.array_equal(np.asarray(so.Records(w.ragged, w.ragged.split(whole))), whole)
    half = d - 0.5 * whole
    assert isinstance(half, so.Records) and np.array_equal(half[1], 0.5 * d[1])
    assert float(np.sum(d * d)) == pytest.approx(float(np.sum(whole**2)))
    assert isinstance(d[[1]], so.Records) and np.array_equal(d[[1]][0], d[1]) and len(d[1:]) == 1
    # Operators, objectives and solvers take them as they take the array.
    assert np.array_equal(F.H @ d, F.H @ whole)
    for given in (d, list(d), tuple(w.ragged.split(whole))):
        value, gradient = so.fwi(F.at(m=1.01 * w.model.m), q, given)
        expected = so.fwi(F.at(m=1.01 * w.model.m), q, whole)
        assert value == expected[0] and np.array_equal(gradient, expected[1])
    J = so.Jacobian(F, q)
    assert np.array_equal(
        pylops.cgls(J, np.ravel(np.asarray(d)), niter=2)[0], pylops.cgls(J, whole.ravel(), niter=2)[0]
    )
    with pytest.raises(ValueError, match="The data have 7 samples"):
        so.Records(w.ragged, np.ones(7))
