"""Averages and comparisons of embeddings."""

import numpy as np
import pytest
from portrait_head.identity.embedding import (
    IdentityEmbedding,
    average,
    least_alike,
    similarity,
    unit,
)


def embedding(direction, quality=1.0, encoder="buffalo_l", patches=0) -> IdentityEmbedding:
    vector = unit(np.asarray(direction, np.float64))
    return IdentityEmbedding(vector, np.full((patches, 2), quality, np.float32), quality, encoder, "research", False)


def test_the_average_of_photos_is_weighted_by_quality_and_of_unit_length():
    merged = average([embedding([1, 0], 0.9), embedding([0, 1], 0.3)])

    np.testing.assert_allclose(merged.vector, np.array([3, 1]) / np.sqrt(10), atol=1e-6)
    assert merged.quality == pytest.approx(0.9 * 0.75 + 0.3 * 0.25)


def test_the_order_of_photos_does_not_matter():
    photos = [embedding([1, 2, 3], 0.2), embedding([3, 1, 0], 0.7), embedding([0, 1, 1], 0.5)]

    np.testing.assert_allclose(average(photos).vector, average(photos[::-1]).vector, atol=1e-7)


def test_one_photo_is_its_own_average_and_worthless_photos_count_alike():
    alone = embedding([1, 2, 2])
    np.testing.assert_allclose(average([alone]).vector, alone.vector, atol=1e-7)

    np.testing.assert_allclose(
        average([embedding([1, 0], 0.0), embedding([0, 1], 0.0)]).vector, np.sqrt([0.5, 0.5]), atol=1e-6
    )


def test_patches_are_those_of_the_best_photo():
    assert average([embedding([1, 0], 0.2, patches=3), embedding([0, 1], 0.8, patches=5)]).patches.shape == (5, 2)


def test_similarity_is_the_cosine():
    assert similarity(embedding([1, 0]), embedding([5, 0])) == pytest.approx(1)
    assert similarity(embedding([1, 0]), embedding([1, 1])) == pytest.approx(np.sqrt(0.5))
    assert similarity(embedding([1, 0]), embedding([-1, 0])) == pytest.approx(-1)


def test_embeddings_of_two_encoders_are_never_mixed():
    mine, other = embedding([1, 0]), embedding([1, 0], encoder="auraface")

    for mix in (similarity, lambda left, right: average([left, right])):
        with pytest.raises(ValueError, match=r"buffalo_l and auraface|auraface and buffalo_l"):
            mix(mine, other)


def test_the_photo_of_somebody_else_is_found():
    same = [embedding([1, 0.1 * step, 0]) for step in range(3)]

    index, cosine = least_alike([same[0], embedding([0, 0, 1]), *same[1:]])

    assert index == 1 and cosine == pytest.approx(0, abs=1e-6)
    assert least_alike(same)[1] > 0.98


def test_nothing_can_be_averaged_or_normalised_from_nothing():
    with pytest.raises(ValueError, match="no embeddings"):
        average([])
    with pytest.raises(ValueError, match="finite"):
        unit(np.zeros(4))
    with pytest.raises(ValueError, match="one photo"):
        least_alike([embedding([1, 0])])
