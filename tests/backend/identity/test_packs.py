"""From the name of an installed pack to its encoder."""

import pytest
from portrait_head.errors import PortraitHeadError
from portrait_head.identity.packs import installed_face_pack, load_encoder
from portrait_head.models.catalogue import load_catalogue
from portrait_head.models.install import install_folder
from portrait_head.models.store import PackStore

pytest.importorskip("insightface")
pytest.importorskip("onnx")

from tests.backend.identity.toy_faces import photo, write_pack


def test_an_installed_pack_gives_embeddings_with_the_catalogues_licence(tmp_path):
    catalogue, store = load_catalogue(), PackStore(tmp_path / "models")
    assert installed_face_pack(store) is None
    install_folder(catalogue.pack("buffalo_l"), write_pack(tmp_path / "unzipped"), store)

    found = load_encoder("buffalo_l", store).embed(photo((320, 320, 120, 1)))

    assert installed_face_pack(store) == "buffalo_l"
    assert found.encoder == "buffalo_l" and "non-commercial" in found.licence and not found.commercial_use


def test_a_pack_that_is_not_here_or_knows_no_faces_is_refused(tmp_path):
    store = PackStore(tmp_path)

    with pytest.raises(PortraitHeadError, match="portrait-head models download auraface"):
        load_encoder("auraface", store)
    with pytest.raises(PortraitHeadError, match="sd15 does not encode identity"):
        load_encoder("sd15", store)
