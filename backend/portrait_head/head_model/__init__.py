"""Parametric heads: what the fit moves and what the expressions, the textures and the rig hang on."""

from __future__ import annotations

import hashlib
import os
import sys
from functools import cache
from pathlib import Path

import numpy as np

from portrait_head import storage
from portrait_head.head_model import expressions, eyelids, folds, lips, makehuman, regions, rig, topology, uv_layout
from portrait_head.head_model.model import DATA, HeadModel, IdentityPrior, LandmarkTable

__all__ = ["HeadModel", "load_head_model", "load_identity_prior", "load_landmark_table"]


@cache
def load_head_model() -> HeadModel:
    """The default head model; the first call of a machine reads MakeHuman's files, later ones its cache."""
    folder = cache_folder() / f"makehuman-{_fingerprint()}"
    if (folder / "values.json").exists():
        return storage.load(folder, HeadModel)
    model = makehuman.read_makehuman_head()
    storage.publish(folder, model)
    return model


@cache
def load_landmark_table() -> LandmarkTable:
    """Where MediaPipe's landmarks lie on the default head model."""
    with np.load(DATA / "landmarks.npz") as table:
        return LandmarkTable(table["vertices"], table["weights"], table["spread"])


@cache
def load_identity_prior() -> IdentityPrior:
    """How adult heads vary, in coefficients of the default head model."""
    with np.load(DATA / "identity_prior.npz") as table:
        return IdentityPrior(table["mean"].astype(np.float64), table["modes"].astype(np.float64))


def cache_folder() -> Path:
    """The user's folder for files that can be made again; `PORTRAIT_HEAD_CACHE` names another."""
    if named := os.environ.get("PORTRAIT_HEAD_CACHE"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "portrait_head" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "portrait_head"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "portrait_head"


def _fingerprint() -> str:
    """Changes with the code that builds the model and with the data it reads."""
    digest = hashlib.sha256()
    for module in (expressions, eyelids, folds, lips, makehuman, regions, rig, topology, uv_layout):
        digest.update(Path(str(module.__file__)).read_bytes())
    digest.update(uv_layout.SKIN_TABLE.read_bytes())
    data = makehuman.data_folder() / "mpfb2/3dobjs/base.obj"
    digest.update(f"{data}{data.stat().st_size}{data.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:16]
