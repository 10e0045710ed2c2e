"""Spherical harmonics are orthonormal and light as integration says; colour transfer goes there and back."""

from __future__ import annotations

import numpy as np
from portrait_head.rendering.lighting import (
    COSINE_LOBE,
    linear_to_bytes,
    linear_to_srgb,
    sh_basis,
    srgb_to_linear,
)


def sphere(count: int) -> np.ndarray:
    """Evenly spread unit vectors [count, 3] (Fibonacci lattice)."""
    z = 1 - (2 * np.arange(count) + 1) / count
    angle = np.pi * (1 + 5**0.5) * np.arange(count)
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def test_basis_is_orthonormal():
    basis = sh_basis(sphere(20000))
    np.testing.assert_allclose(basis.T @ basis * 4 * np.pi / 20000, np.eye(9), atol=2e-3)


def test_irradiance_matches_integration():
    directions = sphere(20000)
    radiance = 1 + 0.5 * directions[:, 1] + 0.7 * directions[:, 0] * directions[:, 2]
    coefficients = sh_basis(directions).T @ radiance * 4 * np.pi / len(directions)
    normals = sphere(50)
    cosine = np.maximum(normals @ directions.T, 0)
    expected = cosine @ radiance * 4 * np.pi / len(directions)
    np.testing.assert_allclose(sh_basis(normals) @ (coefficients * COSINE_LOBE), expected, rtol=5e-3)


def test_every_stored_value_survives_the_round_trip():
    stored = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(linear_to_bytes(srgb_to_linear(stored)), stored)
    np.testing.assert_allclose(srgb_to_linear(stored), srgb_to_linear(stored / 255.0), atol=1e-6)
    np.testing.assert_allclose(linear_to_srgb(np.array([0.0, 0.2140411, 1.0, 3.0])), [0, 0.5, 1, 1], atol=1e-5)
