# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""What is set for the next head; saved with the scene."""

import bpy

from .client.request import HeadSettings


class PortraitHeadSettings(bpy.types.PropertyGroup):
    """The settings of the panel."""

    photo: bpy.props.StringProperty(
        name="Photo", description="Portrait photo to make the head from", subtype="FILE_PATH"
    )
    preset: bpy.props.EnumProperty(
        name="Quality",
        description="How much work goes into the head",
        items=(
            ("quick", "Quick", "For a first look"),
            ("standard", "Standard", "For most uses"),
            ("high", "High", "Takes longest"),
        ),
        default="standard",
    )
    texture_size: bpy.props.EnumProperty(
        name="Texture",
        description="Side of the skin texture in pixels",
        items=tuple((size, size, f"{size} × {size} pixels") for size in ("1024", "2048", "4096")),
        default="2048",
    )
    face: bpy.props.IntProperty(
        name="Face",
        description="Which face of the photo, 1 for the largest, 2 for the next",
        min=1,
        soft_max=10,
        default=1,
    )
    seed: bpy.props.IntProperty(name="Seed", description="Another number varies what the photo leaves open", min=0)

    def photo_path(self) -> str:
        """The photo as an absolute path; empty where none is chosen."""
        return bpy.path.abspath(self.photo) if self.photo else ""

    def to_head_settings(self) -> HeadSettings:
        """The settings in the form the client sends."""
        return HeadSettings(self.photo_path(), self.face, self.preset, self.seed, int(self.texture_size))


def register() -> None:
    """Called when the add-on is enabled."""
    bpy.utils.register_class(PortraitHeadSettings)
    bpy.types.Scene.portrait_head = bpy.props.PointerProperty(type=PortraitHeadSettings)


def unregister() -> None:
    """Called when the add-on is disabled."""
    del bpy.types.Scene.portrait_head
    bpy.utils.unregister_class(PortraitHeadSettings)
