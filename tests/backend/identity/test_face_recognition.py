"""InsightFace itself, over toy models of the shapes by which it knows them."""

import numpy as np
import pytest
from portrait_head.errors import PortraitHeadError
from portrait_head.identity.embedding import similarity

pytest.importorskip("insightface")
pytest.importorskip("onnx")

from portrait_head.identity.face_recognition import FaceRecognition

from tests.backend.identity.toy_faces import photo, write_pack

LARGE, SMALL = 120, 64  # half a face's side, pixels


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> FaceRecognition:
    return FaceRecognition(write_pack(tmp_path_factory.mktemp("packs") / "buffalo_l"), "research only", False)


def test_a_face_becomes_a_unit_vector_that_carries_its_terms(encoder):
    found = encoder.embed(photo((320, 320, LARGE, 1)))

    assert found.vector.shape == (512,) and found.vector.dtype == np.float32
    assert np.linalg.norm(found.vector) == pytest.approx(1, abs=1e-6)
    assert (found.encoder, found.licence, found.commercial_use) == ("buffalo_l", "research only", False)
    assert found.faces == 1 and 0.9 < found.quality <= 1
    assert found.patches.shape[0] == 0


def test_the_crop_is_aligned_so_place_and_size_do_not_matter(encoder):
    here = encoder.embed(photo((200, 216, LARGE, 1)))
    there = encoder.embed(photo((424, 400, LARGE - 24, 1)))

    assert similarity(here, there) > 0.97  # resampling and the size of the red spot are all that differs
    assert similarity(here, encoder.embed(photo((200, 216, LARGE, 2)))) < similarity(here, there) - 0.02


@pytest.mark.parametrize("places", [((160, 160), (464, 464)), ((464, 464), (160, 160))])
def test_the_largest_of_two_faces_is_taken_wherever_it_is(encoder, places):
    large, small = places
    alone = encoder.embed(photo((*large, LARGE, 1)))

    both = encoder.embed(photo((*small, SMALL, 2), (*large, LARGE, 1)))

    assert both.faces == 2
    assert similarity(alone, both) > 0.9999


def test_a_small_face_counts_less(encoder):
    large = encoder.embed(photo((320, 320, LARGE, 1)))
    tiny = encoder.embed(photo((320, 320, 40, 1)))

    assert tiny.quality < 0.8 < large.quality


def test_the_face_asked_for_is_taken_before_the_largest(encoder):
    both = photo((160, 320, SMALL, 2), (440, 320, LARGE, 1))

    near = encoder.embed(both, near=np.array([170.0, 310.0]))

    assert near.faces == 2
    assert similarity(near, encoder.embed(photo((160, 320, SMALL, 2)))) > 0.99
    assert similarity(encoder.embed(both), encoder.embed(photo((440, 320, LARGE, 1)))) > 0.99


def test_colours_reach_the_models_as_red_green_blue(encoder):
    swapped = photo((320, 320, LARGE, 1))[..., ::-1]  # its spot is blue

    with pytest.raises(PortraitHeadError):
        encoder.embed(swapped)


def test_no_face_is_a_sentence_with_the_way_out(encoder):
    with pytest.raises(PortraitHeadError, match="no face in the picture of 640 x 640") as failure:
        encoder.embed(photo())

    assert failure.value.kind == "no_face" and "front" in failure.value.hint


def refused(folder) -> PortraitHeadError:
    with pytest.raises(PortraitHeadError) as failure:
        FaceRecognition(folder, "research only", False)
    return failure.value


@pytest.mark.parametrize(
    ("gone", "said"), [("w600k_r50.onnx", "no face recogniser"), ("det_10g.onnx", "no face detector")]
)
def test_half_a_pack_is_named(tmp_path, gone, said):
    folder = write_pack(tmp_path / "buffalo_l")
    (folder / gone).unlink()

    error = refused(folder)

    assert error.kind == "pack_broken" and said in error.message
    assert "portrait-head models download buffalo_l" in error.hint


def test_a_model_of_another_width_is_named(tmp_path):
    assert "256 numbers instead of 512" in refused(write_pack(tmp_path / "other", size=256)).message


@pytest.mark.parametrize("kept", [0, 100, 3000])
def test_half_a_model_file_is_a_damaged_pack(tmp_path, kept):
    folder = write_pack(tmp_path / "buffalo_l")
    path = folder / "w600k_r50.onnx"
    path.write_bytes(path.read_bytes()[:kept])

    assert refused(folder).kind == "pack_broken"


def test_a_forged_licence_is_not_taken(tmp_path):
    folder = write_pack(tmp_path / "buffalo_l")
    (folder / "MODEL.LICENSE").write_text('{"grant": "commercial"}')

    error = refused(folder)

    assert error.kind == "licence_invalid" and "MODEL.LICENSE" in error.message
