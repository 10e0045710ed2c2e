# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""What is set for the next head; saved with the scene."""

import bpy
from bpy.app.handlers import persistent

from .client.request import HeadSettings
from .data.engines import BY_IDENTIFIER, ENGINES, LOD_SHARES, TEXTURE_SIZES
from .operators import jobs, looking
from .scene.engine_export import EngineOptions


def _photo_chosen(settings: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """The face was one of the other photo's; those of this one are looked for."""
    settings.property_unset("face")
    jobs.forget_outcome()
    looking.look_at(settings.photo_path())


@persistent
def _file_opened(*_: object) -> None:
    """The panel shows another photo: what was said of the last one is not of this."""
    jobs.forget_outcome()
    looking.look_at(bpy.context.scene.portrait_head.photo_path())


class PortraitHeadSettings(bpy.types.PropertyGroup):
    """The settings of the panel."""

    photo: bpy.props.StringProperty(
        name="Photo",
        description="Portrait photo to make the head from: from the front, evenly lit, hair out of the face",
        subtype="FILE_PATH",
        update=_photo_chosen,
    )
    preset: bpy.props.EnumProperty(
        name="Quality",
        description="How much work goes into the head",
        items=(
            ("quick", "Quick", "For a first look"),
            ("standard", "Standard", "For most uses"),
            ("high", "High", "Takes longest, for close-ups"),
        ),
        default="standard",
    )
    tier: bpy.props.EnumProperty(
        name="Method",
        description="What the head is made with",
        items=(
            ("embedded", "This Computer", "Any computer, nothing to download"),
            ("diffusion", "Diffusion Models", "An NVIDIA graphics card and model packs; paints what the photo hides"),
        ),
    )
    texture_size: bpy.props.EnumProperty(
        name="Skin Texture",
        description="Side of the skin texture in pixels: 2048 for most uses, 4096 for close-ups",
        items=tuple((size, f"{size} px", f"{size} × {size} pixels") for size in ("1024", "2048", "4096")),
        default="2048",
    )
    delight: bpy.props.FloatProperty(
        name="Even Out Light",
        description="How much of the photo's light and shade is taken out of the skin: 0 keeps the photo's look, "
        "1 suits a scene with lights of its own",
        min=0.0,
        max=1.0,
        default=0.7,
        subtype="FACTOR",
    )
    hair: bpy.props.EnumProperty(
        name="Hair",
        description="Whether the head gets hair",
        items=(("auto", "As in the Photo", "Hair with the photo's shape and colour"), ("none", "None", "A bare head")),
    )
    face: bpy.props.IntProperty(
        name="Face",
        description="Which face of the photo, 1 for the largest, 2 for the next",
        min=1,
        soft_max=10,
        default=1,
    )
    seed: bpy.props.IntProperty(
        name="Variation", description="Another number varies what the photo leaves open", min=0, default=0
    )
    prompt: bpy.props.StringProperty(
        name="Description",
        description="What the photo cannot show, in words, for instance: grey beard, 60 years old",
    )
    style: bpy.props.StringProperty(
        name="Style",
        description="Paint all of the skin in this look, for instance: marble statue, oil painting. The shape stays; "
        "empty for skin as in the photo",
    )
    initial_mesh: bpy.props.StringProperty(
        name="Start From",
        description="A head that you have already, for the sculpting to begin with: a PLY, OBJ, GLB or STL file. "
        "What the photo shows is carved into it, the rest of its shape stays",
        subtype="FILE_PATH",
    )

    def photo_path(self) -> str:
        """The photo as an absolute path; empty where none is chosen."""
        return bpy.path.abspath(self.photo) if self.photo else ""

    def to_head_settings(self) -> HeadSettings:
        """The settings in the form the client sends; words that the method does not read are left out."""
        reads_words = self.tier == "diffusion"
        return HeadSettings(
            photo=self.photo_path(),
            face=self.face,
            preset=self.preset,
            seed=self.seed,
            texture_size=int(self.texture_size),
            delight=round(self.delight, 4),
            hair=self.hair,
            tier=self.tier,
            prompt=self.prompt if reads_words else "",
            style=self.style if reads_words else "",
            initial_mesh=bpy.path.abspath(self.initial_mesh) if self.initial_mesh else "",
        )


class PortraitHeadExport(bpy.types.PropertyGroup):
    """How heads are written for an engine; saved with the scene."""

    engine: bpy.props.EnumProperty(
        name="For",
        description="Whose conventions to follow",
        items=tuple((each.identifier, each.label, each.description) for each in ENGINES),
    )
    texture_size: bpy.props.EnumProperty(
        name="Textures",
        description="Longest side of the written textures; the head in the scene keeps its own",
        items=(
            ("ORIGINAL", "As They Are", "Do not change their size"),
            *((str(size), f"{size} px", f"At most {size} pixels") for size in TEXTURE_SIZES),
        ),
    )
    lods: bpy.props.IntProperty(
        name="Coarser Levels",
        description="Levels of detail beside the full head: a half, a quarter and a tenth of its triangles, keys kept",
        min=0,
        max=len(LOD_SHARES),
    )
    hair: bpy.props.BoolProperty(name="Hair", description="Write the hair with the head", default=True)
    visemes: bpy.props.BoolProperty(
        name="Visemes",
        description="Add the fifteen mouth shapes of speech as keys (viseme_aa, viseme_PP, …) for lip-sync tools",
    )

    def to_options(self) -> EngineOptions:
        """The settings in the form the export takes."""
        size = None if self.texture_size == "ORIGINAL" else int(self.texture_size)
        return EngineOptions(BY_IDENTIFIER[self.engine], size, self.lods, self.hair, self.visemes)


class PortraitHeadView(bpy.types.PropertyGroup):
    """How the artist looks at the panels; belongs to the window, not to the file."""

    search: bpy.props.StringProperty(
        name="Search",
        description="Show only the sliders whose names hold these words",
        options={"TEXTEDIT_UPDATE", "SKIP_SAVE"},
    )
    strength: bpy.props.FloatProperty(
        name="Strength",
        description="How strong the expressions are that you click",
        min=0.0,
        max=1.0,
        default=1.0,
        subtype="FACTOR",
        options={"SKIP_SAVE"},
    )


CLASSES = (PortraitHeadSettings, PortraitHeadExport, PortraitHeadView)


def register() -> None:
    """Called when the add-on is enabled."""
    for each in CLASSES:
        bpy.utils.register_class(each)
    bpy.types.Scene.portrait_head = bpy.props.PointerProperty(type=PortraitHeadSettings)
    bpy.types.Scene.portrait_head_export = bpy.props.PointerProperty(type=PortraitHeadExport)
    bpy.types.WindowManager.portrait_head = bpy.props.PointerProperty(type=PortraitHeadView)
    bpy.app.handlers.load_post.append(_file_opened)


def unregister() -> None:
    """Called when the add-on is disabled."""
    bpy.app.handlers.load_post.remove(_file_opened)
    del bpy.types.WindowManager.portrait_head
    del bpy.types.Scene.portrait_head_export
    del bpy.types.Scene.portrait_head
    for each in reversed(CLASSES):
        bpy.utils.unregister_class(each)
