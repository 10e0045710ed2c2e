# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""Add a head that was made before."""

from pathlib import Path

import bpy

from ..scene.asset import AssetError
from ..scene.importer import import_head


class PORTRAITHEAD_OT_import_head(bpy.types.Operator):
    """Add a head from its asset folder to the scene"""

    bl_idname = "portrait_head.import_head"
    bl_label = "Import Head"
    bl_options = {"REGISTER", "UNDO"}

    directory: bpy.props.StringProperty(name="Asset", description="Folder with asset.json", subtype="DIR_PATH")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            import_head(Path(bpy.path.abspath(self.directory)))
        except AssetError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}
