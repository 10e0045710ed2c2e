import numpy as np
from portrait_head.texturing.check import face_similarity


def test_the_same_picture_is_similar_and_another_is_not():
    rng = np.random.default_rng(0)
    photo = rng.random((60, 60, 3)).astype(np.float32)
    region = np.zeros((60, 60), bool)
    region[15:45, 15:45] = True
    assert face_similarity(photo, photo, region) > 0.999
    assert face_similarity(photo, rng.random(photo.shape).astype(np.float32), region) < 0.3


def test_what_lies_outside_the_region_does_not_count():
    rng = np.random.default_rng(0)
    photo = rng.random((60, 60, 3)).astype(np.float32)
    region = np.zeros((60, 60), bool)
    region[15:45, 15:45] = True
    other = np.where(region[..., None], photo, 0)
    assert face_similarity(photo, other, region) > 0.999


def test_an_empty_region_is_not_similar():
    photo = np.zeros((20, 20, 3), np.float32)
    assert face_similarity(photo, photo, np.zeros((20, 20), bool)) == 0
