# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""What is set once for this computer."""

import bpy

from . import ROOT_PACKAGE
from .ui.status import draw_backend


class PortraitHeadPreferences(bpy.types.AddonPreferences):
    """Where the backend is."""

    bl_idname = ROOT_PACKAGE

    backend: bpy.props.StringProperty(
        name="Backend",
        description=(
            "How to start the backend: the folder of the virtual environment it is installed in, or a command such as "
            "“ssh box portrait-head worker”. Leave empty to look in the usual places"
        ),
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the page in Blender's preferences."""
        self.layout.prop(self, "backend")
        draw_backend(self.layout)


def register() -> None:
    """Called when the add-on is enabled."""
    bpy.utils.register_class(PortraitHeadPreferences)


def unregister() -> None:
    """Called when the add-on is disabled."""
    bpy.utils.unregister_class(PortraitHeadPreferences)
