"""Landmarks and shading together: the second half of the fit."""

from __future__ import annotations

import cv2
import numpy as np

from portrait_head.fitting.config import FitConfig, ShadingConfig
from portrait_head.fitting.contour import ContourTerm
from portrait_head.fitting.key_light import LitSkin, find_key_light, shine
from portrait_head.fitting.landmark_fit import LandmarkTerm, State, advance, interocular
from portrait_head.fitting.shading import Geometry, Pyramid, ShadingTerm, bilinear
from portrait_head.fitting.space import FitModel
from portrait_head.fitting.surface_samples import SurfaceSamples, surface_samples
from portrait_head.rendering.raycast import RayCaster

RAY_START = 5e-4  # metres above the skin from which a sample looks for the camera
BARE = 0.5  # share of a mask that counts as yes


def fit_shading(
    fit_model: FitModel,
    state: State,
    image: np.ndarray,
    landmarks: np.ndarray,
    skin: np.ndarray,
    config: FitConfig,
) -> State:
    """Move the head of the landmark fit until it is shaded like the photo.

    Args:
        state: where the landmark fit ended.
        image: [H, W, 3] uint8 sRGB.
        landmarks: [478, 3] pixels.
        skin: [H, W] 0 to 1, where bare skin is.

    Returns:
        The new state; the old one if too little bare skin is seen.
    """
    shading = config.shading
    reach = 2 * round(shading.hair_margin * interocular(landmarks)) + 1
    bare = cv2.erode(skin, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    seen = visible_samples(fit_model, surface_samples(fit_model, shading), state, bare, shading)
    if len(seen.polynomial) < shading.least_samples:
        return state
    pyramid = Pyramid(image, landmarks, shading)
    landmark_term = LandmarkTerm(fit_model, landmarks, config.landmarks)
    illumination, lamp = None, None
    for blur in shading.blurs:
        level = pyramid.level(blur)
        term = ShadingTerm(seen, level, shading)
        outline = ContourTerm(fit_model, level, interocular(landmarks), config.contour)
        skin_seen = _lit_skin(term.geometry(state), seen)
        camera = state.pose.camera(1, 1).position
        lamp = find_key_light(skin_seen, _caster(fit_model, state), camera, shading, lamp)
        for _ in range(shading.iterations):
            geometry = term.geometry(state)
            if lamp is not None:
                key = shine(lamp, _lit_skin(geometry, seen), _caster(fit_model, state), shading)
                geometry = term.geometry(state, key)
            illumination = term.illuminate(geometry, illumination)
            hessian, gradient = landmark_term.normal_equations(state)
            shaded = term.normal_equations(state, geometry, illumination)
            drawn = outline.normal_equations(state)
            state = advance(
                state,
                shading.landmark_share * hessian + shaded[0] + drawn[0],
                shading.landmark_share * gradient + shaded[1] + drawn[1],
                config.landmarks,
            )
    return state


def _lit_skin(geometry: Geometry, samples: SurfaceSamples) -> LitSkin:
    return LitSkin(geometry.points, geometry.normals, geometry.view, samples.openness, geometry.colours)


def _caster(fit_model: FitModel, state: State) -> RayCaster:
    skin = fit_model.model.part("skin").faces
    vertices = fit_model.vertices.positions(state.scores, state.weights)
    return RayCaster(vertices, fit_model.model.triangles()[2 * skin[0] : 2 * skin[1]])


def visible_samples(
    fit_model: FitModel, samples: SurfaceSamples, state: State, skin: np.ndarray, config: ShadingConfig
) -> SurfaceSamples:
    """The samples that face the camera, are hidden by nothing and lie on bare skin of the photo."""
    camera = state.pose.camera(skin.shape[1], skin.shape[0])
    points = samples.points.positions(state.scores, state.weights)
    normals = np.cross(
        samples.first.positions(state.scores, state.weights), samples.second.positions(state.scores, state.weights)
    )
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    view = camera.position - points
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    caster = _caster(fit_model, state)
    hidden = caster.occluded(points + RAY_START * normals, view)
    pixels = camera.project(points)
    inside = ((pixels > 1) & (pixels < (skin.shape[1] - 1, skin.shape[0] - 1))).all(axis=1)
    bare = bilinear(skin[..., None], pixels)[:, 0] > BARE
    facing = (normals * view).sum(axis=1) > config.facing
    return samples.chosen(np.flatnonzero(facing & ~hidden & inside & bare))
