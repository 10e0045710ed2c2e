import numpy as np
from portrait_head.photo.guided_filter import guided_filter


def linear_in_window(guide, values, row, column, radius, smoothness):
    window = np.s_[row - radius : row + radius + 1, column - radius : column + radius + 1]
    colours, wanted = guide[window].reshape(-1, 3), values[window].ravel()
    covariance = np.cov(colours.T, bias=True) + smoothness * np.eye(3)
    slope = np.linalg.solve(
        covariance, ((colours - colours.mean(axis=0)) * (wanted - wanted.mean())[:, None]).mean(axis=0)
    )
    return slope, wanted.mean() - slope @ colours.mean(axis=0)


def test_each_value_is_the_mean_of_its_windows_linear_models():
    generator = np.random.default_rng(0)
    guide, values, radius, smoothness = generator.random((24, 24, 3)), generator.random((24, 24)), 3, 1e-2
    found = guided_filter(guide, values, radius, smoothness)
    row, column = 11, 12
    models = [
        linear_in_window(guide, values, r, c, radius, smoothness)
        for r in range(row - radius, row + radius + 1)
        for c in range(column - radius, column + radius + 1)
    ]
    expected = np.mean([slope @ guide[row, column] + offset for slope, offset in models])
    assert abs(found[row, column] - expected) < 1e-5


def test_a_flat_guide_only_blurs():
    values = np.zeros((21, 21))
    values[10, 10] = 1.0
    found = guided_filter(np.full((21, 21, 3), 0.5), values, 2, 1e-4)
    assert np.isclose(found.sum(), 1.0)
    assert np.isclose(found[10, 10], 1 / 25)  # every window that holds the point sees it as 1/25
