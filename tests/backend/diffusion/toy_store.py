"""A models folder with a toy of every pack that the diffusion tier uses, put there by the code that users run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from portrait_head.models.catalogue import load_catalogue
from portrait_head.models.install import install_folder
from portrait_head.models.store import PackStore
from safetensors.torch import save_file

from tests.backend.diffusion.toy_packs import save_packs
from tests.backend.identity.toy_faces import LANDMARKS, STRIDE, recogniser
from tests.backend.models.test_face_normals import write_sphere

FACE_SHARE = 0.19  # of the picture's side, half a face in the middle of it


def fill_store(store: PackStore, workplace: Path, group: str = "diffusion") -> None:
    """Install toys of a whole set of packs, their licences accepted."""
    catalogue = load_catalogue()
    sources = _sources(workplace)
    for pack in catalogue.expand((group,)):
        store.accept(pack.licence)
        install_folder(pack, sources[pack.name], store)


def _sources(folder: Path) -> dict[str, Path]:
    folders = save_packs(folder)
    base = folders.base
    (base / "model_index.json").write_text("{}")
    faces = {"buffalo_l": ("det_10g", "w600k_r50"), "auraface": ("scrfd_10g_bnkps", "glintr100")}
    for name, (finder, knower) in faces.items():
        (folder / name).mkdir()
        onnx.save(middle_detector(), folder / name / f"{finder}.onnx")
        onnx.save(recogniser(512), folder / name / f"{knower}.onnx")
    return {
        "sd15": base,
        "realistic-vision": base,
        "vae-ft-mse": base / "vae",
        "text-to-normal": base / "unet",
        "text-to-depth": base / "unet",
        **{f"controlnet-{kind}": folders.controlnet for kind in ("landmarks", "canny", "normal", "inpaint")},
        "ip-adapter-faceid": folder / "face_id",
        **{name: folder / name for name in faces},
        "few-step-lora": _few_step_lora(folder / "lora"),
        "face-normals": write_sphere(folder / "face-normals", radius=380.0),  # as wide as the picture is across
    }


def _few_step_lora(folder: Path) -> Path:
    """A LoRA on one attention of the toy UNet, named as LCM's are."""
    folder.mkdir()
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_q"
    generator = torch.Generator().manual_seed(3)
    state = {
        f"{layer}.lora_down.weight": torch.randn(2, 32, generator=generator) / 8,
        f"{layer}.lora_up.weight": torch.randn(32, 2, generator=generator) / 8,
        f"{layer}.alpha": torch.tensor(2.0),
    }
    save_file(state, folder / "pytorch_lora_weights.safetensors")
    return folder


def middle_detector() -> onnx.ModelProto:
    """SCRFD's nine outputs for a detector that sees one face in the middle of every square picture."""
    constants = {
        "one": np.array([1], np.int64),
        "two": np.array(2, np.int64),
        "off_on": np.array([0, 1], np.float32),
        "column": np.array([-1, 1], np.int64),
        "side_share": np.array(FACE_SHARE, np.float32),
        "box": np.ones((1, 4), np.float32),
        "points": LANDMARKS.reshape(1, 10),
        "none": np.array(0, np.float32),
    }
    nodes, kinds = [], {"score": [], "box": [], "points": []}
    for stride in (8, 16, 32):

        def at(name: str, stride: int = stride) -> str:
            return f"{name}{stride}"

        constants |= {at("row"): np.array(2, np.int64), at("columns"): np.array(3, np.int64)}
        nodes += [
            helper.make_node("AveragePool", ["image"], [at("pooled")], kernel_shape=[stride] * 2, strides=[stride] * 2),
            helper.make_node("Shape", [at("pooled")], [at("shape")]),
            helper.make_node("Gather", [at("shape"), at("row")], [at("height")]),
            helper.make_node("Gather", [at("shape"), at("columns")], [at("width")]),
            helper.make_node("Mul", [at("height"), at("width")], [at("cells")]),
            helper.make_node("Div", [at("height"), "two"], [at("middle_row")]),
            helper.make_node("Mul", [at("middle_row"), at("width")], [at("before")]),
            helper.make_node("Div", [at("width"), "two"], [at("middle_column")]),
            helper.make_node("Add", [at("before"), at("middle_column")], [at("index")]),
            helper.make_node("Reshape", [at("index"), "one"], [at("only")]),
            helper.make_node("OneHot", [at("only"), at("cells"), "off_on"], [at("flat")]),
            helper.make_node("Reshape", [at("flat"), "column"], [at("seen")]),
            helper.make_node("Cast", [at("width")], [at("float_width")], to=TensorProto.FLOAT),
            helper.make_node("Mul", [at("float_width"), "side_share"], [at("half")]),  # in cells of the stride
        ]
        factor = [] if stride == STRIDE else ["none"]
        nodes.append(helper.make_node("Mul" if factor else "Identity", [at("seen"), *factor], [at("score")]))
        for kind in ("box", "points"):
            nodes.append(helper.make_node("Mul", [at("half"), kind], [at(f"{kind}one")]))
            nodes.append(helper.make_node("Mul", [at("score"), at(f"{kind}one")], [at(f"{kind}each")]))
        for kind, one in (("score", "score"), ("box", "boxeach"), ("points", "pointseach")):
            nodes.append(helper.make_node("Concat", [at(one), at(one)], [at(f"{kind}two")], axis=1))
            width = {"score": 1, "box": 4, "points": 10}[kind]
            constants[at(f"{kind}shape")] = np.array([-1, width], np.int64)
            nodes.append(helper.make_node("Reshape", [at(f"{kind}two"), at(f"{kind}shape")], [f"{kind}_{stride}"]))
            kinds[kind].append((f"{kind}_{stride}", ["cells", width]))
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, form)
            for outputs in kinds.values()
            for name, form in outputs
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model
