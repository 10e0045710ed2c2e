import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from portrait_head import HeadRequest, PortraitHeadError
from portrait_head.events import ProgressMade, StageStarted, Warned
from portrait_head.job import Job, Stage


@dataclass(frozen=True)
class Counted:
    values: np.ndarray
    warnings: tuple[str, ...] = ()


class Works:
    """Two small stages that count how often they really run."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def first(self, request, progress) -> Counted:
        self.runs.append("first")
        progress(0.5)
        return Counted(np.full(3, request.seed), ("careful",))

    def second(self, request, before, progress) -> Counted:
        self.runs.append("second")
        return Counted(before.values * 2)

    def run(self, folder: Path, request: HeadRequest, listen=lambda event: None) -> np.ndarray:
        first = Stage("first", "01_first", self.first, Counted, ("photos", "seed"), 1.0)
        second = Stage("second", "02_second", self.second, Counted, ("preset",), 3.0)
        with Job(folder, request, (first, second), listen) as job:
            return job.run(second, job.run(first)).result.values


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"one")
    return path


def test_a_second_run_repeats_nothing_and_gives_the_same(tmp_path, photo):
    works, request = Works(), HeadRequest(photos=(str(photo),), seed=4)
    once = works.run(tmp_path / "job", request)
    again = works.run(tmp_path / "job", request)

    assert works.runs == ["first", "second"]
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(again, [8, 8, 8])


def test_only_what_a_change_touches_runs_again(tmp_path, photo):
    works = Works()
    works.run(tmp_path / "job", HeadRequest(photos=(str(photo),)))
    works.run(tmp_path / "job", HeadRequest(photos=(str(photo),), preset="quick"))
    assert works.runs == ["first", "second", "second"]

    works.run(tmp_path / "job", HeadRequest(photos=(str(photo),), preset="quick", delight=0.1))
    assert works.runs == ["first", "second", "second"], "no stage reads delight"

    photo.write_bytes(b"another picture under the same name")
    works.run(tmp_path / "job", HeadRequest(photos=(str(photo),), preset="quick"))
    assert works.runs[3:] == ["first", "second"]


def test_a_stage_runs_again_when_a_model_that_it_asks_has_changed(tmp_path, photo):
    works, request = Works(), HeadRequest(photos=(str(photo),))
    for version in ("one", "one", "two"):
        first = Stage("first", "01_first", works.first, Counted, ("photos", "seed"), 1.0, models=version)
        with Job(tmp_path / "job", request, (first,), lambda event: None) as job:
            job.run(first)

    assert works.runs == ["first", "first"]


def test_another_name_of_the_photo_counts(tmp_path, photo):
    """It stands in warnings and in the asset."""
    works = Works()
    works.run(tmp_path / "job", HeadRequest(photos=(str(photo),)))
    works.run(tmp_path / "job", HeadRequest(photos=(str(photo.rename(tmp_path / "ada.jpg")),)))

    assert works.runs == ["first", "second"] * 2


@pytest.mark.parametrize("file", ["arrays.npz", "stage.json"])
def test_a_stage_that_a_power_cut_left_empty_runs_again(tmp_path, photo, file):
    works, request = Works(), HeadRequest(photos=(str(photo),), seed=4)
    works.run(tmp_path / "job", request)
    (tmp_path / "job" / "01_first" / file).write_bytes(b"")
    (tmp_path / "job" / "02_second" / "stage.json").unlink()

    np.testing.assert_array_equal(works.run(tmp_path / "job", request), [8, 8, 8])
    assert works.runs == ["first", "second"] * 2


def test_a_half_written_stage_is_swept_away(tmp_path, photo):
    half = tmp_path / "job" / ".01_first.part"
    half.mkdir(parents=True)
    (half / "arrays.npz").write_bytes(b"half")
    Works().run(tmp_path / "job", HeadRequest(photos=(str(photo),)))

    assert not half.exists()
    assert not list((tmp_path / "job").glob(".*.part"))


def test_a_second_run_in_the_same_folder_is_refused_while_the_first_is_at_work(tmp_path, photo):
    request, works = HeadRequest(photos=(str(photo),), seed=4), Works()
    with Job(tmp_path / "job", request, (), lambda event: None):
        half = tmp_path / "job" / ".01_first.part"
        half.mkdir()
        with pytest.raises(PortraitHeadError, match="Another run") as refused:
            works.run(tmp_path / "job", replace(request, seed=5))
        assert half.exists()
        assert json.loads((tmp_path / "job" / "request.json").read_text())["seed"] == 4

    assert refused.value.kind == "job_in_use"
    np.testing.assert_array_equal(works.run(tmp_path / "job", request), [8, 8, 8])


def test_a_job_that_could_not_begin_does_not_keep_its_folder(tmp_path, photo):
    request = HeadRequest(photos=(str(photo),), seed=4)
    (tmp_path / "job" / "request.json").mkdir(parents=True)
    with pytest.raises(PortraitHeadError) as refused:
        Works().run(tmp_path / "job", request)
    assert refused.value.kind == "cannot_write"

    (tmp_path / "job" / "request.json").rmdir()
    np.testing.assert_array_equal(Works().run(tmp_path / "job", request), [8, 8, 8])


def test_progress_rises_to_one_and_warnings_come_back_on_resume(tmp_path, photo):
    request = HeadRequest(photos=(str(photo),))
    for _ in range(2):
        events = []
        Works().run(tmp_path / "job", request, events.append)
        done = [event.done for event in events if isinstance(event, ProgressMade)]
        assert done == sorted(done) and done[-1] == 1.0
        assert [event.name for event in events if isinstance(event, StageStarted)] == ["first", "second"]
        assert [event.message for event in events if isinstance(event, Warned)] == ["careful"]
    log = (tmp_path / "job" / "events.jsonl").read_text().splitlines()
    assert {json.loads(line)["method"] for line in log} == {"stage", "progress", "warning"}


def test_the_time_left_begins_with_the_usual_pace_and_learns_from_what_this_run_has_done_itself(tmp_path, photo):
    """Two stages that claim 1 and 3 seconds and take none; three seconds of the usual pace are believed."""
    request, left = HeadRequest(photos=(str(photo),)), []
    for _ in range(2):
        events = []
        Works().run(tmp_path / "job", request, events.append)
        left += [event.eta_s for event in events if isinstance(event, ProgressMade)]
        shutil.rmtree(tmp_path / "job" / "02_second")

    expected = [3.5 * 3 / 3.5, 3 * 3 / 4, 0, 3, 0]  # halfway, first done, second done; first found, second done
    for found, least in zip(left, expected, strict=True):
        assert least - 0.1 <= found <= 2 * least  # more on a busy machine


def test_why_a_job_failed_stays_in_its_folder(tmp_path, photo):
    def fail(request, progress):
        raise PortraitHeadError("no_face", "There is no face.", "Use another photo.")

    told = []
    stage = Stage("first", "01_first", fail, Counted, ("photos",), 1.0)
    with (
        pytest.raises(PortraitHeadError, match="no face"),
        Job(tmp_path / "job", HeadRequest(photos=(str(photo),)), (stage,), told.append) as job,
    ):
        job.run(stage)
    last = json.loads((tmp_path / "job" / "events.jsonl").read_text().splitlines()[-1])

    assert (last["method"], last["params"]["kind"]) == ("error", "no_face")
    assert [event.method for event in told] == ["stage"]  # the caller tells of the error, once


def test_a_job_folder_that_is_a_file_is_refused_in_words(tmp_path, photo):
    (tmp_path / "job").write_text("mine")
    with pytest.raises(PortraitHeadError) as refused:
        Works().run(tmp_path / "job", HeadRequest(photos=(str(photo),)))

    assert refused.value.kind == "cannot_write"
    assert (tmp_path / "job").read_text() == "mine"


def test_a_job_folder_that_cannot_be_made_is_refused_in_words(tmp_path, photo):
    with pytest.raises(PortraitHeadError, match="cannot be written to") as refused:
        Works().run(tmp_path / ("long" * 100), HeadRequest(photos=(str(photo),)))

    assert refused.value.kind == "cannot_write"


def test_a_job_folder_that_goes_away_is_said(tmp_path, photo):
    """As the drive does that somebody pulls out."""

    def pull(event) -> None:
        if isinstance(event, Warned):
            shutil.rmtree(tmp_path / "job")

    with pytest.raises(PortraitHeadError, match="cannot be written to") as refused:
        Works().run(tmp_path / "job", HeadRequest(photos=(str(photo),)), pull)

    assert refused.value.kind == "cannot_write"
