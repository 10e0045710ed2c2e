# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""Choose the photo: by dropping it on the viewport, or by choosing one of its faces."""

from __future__ import annotations

import bpy

from ..client.outputs import PHOTO_ENDINGS
from ..ui.view import redraw


class PORTRAITHEAD_OT_take_photo(bpy.types.Operator):
    """Take this picture as the portrait of the next head"""

    bl_idname = "portrait_head.take_photo"
    bl_label = "Use as Portrait"
    bl_options = {"UNDO"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.filepath:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not self.filepath.lower().endswith(PHOTO_ENDINGS):
            self.report({"ERROR"}, f"This is no photo. These are taken: {' '.join(PHOTO_ENDINGS)}")
            return {"CANCELLED"}
        context.scene.portrait_head.photo = self.filepath
        for area in context.screen.areas if context.screen else ():
            if area.type == "VIEW_3D":
                area.spaces.active.show_region_ui = True
        redraw(context)
        return {"FINISHED"}


class PORTRAITHEAD_OT_choose_face(bpy.types.Operator):
    """Make the head of this face of the photo"""

    bl_idname = "portrait_head.choose_face"
    bl_label = "Choose Face"
    bl_options = {"UNDO"}

    face: bpy.props.IntProperty(name="Face", description="1 is the largest", min=1, default=1)

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.scene.portrait_head.face = self.face
        return {"FINISHED"}


class PORTRAITHEAD_FH_photo(bpy.types.FileHandler):
    """A photo dropped on the 3D view"""

    bl_idname = "PORTRAITHEAD_FH_photo"
    bl_label = "Portrait Head"
    bl_import_operator = "portrait_head.take_photo"
    bl_file_extensions = ";".join(PHOTO_ENDINGS)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


CLASSES = (PORTRAITHEAD_OT_take_photo, PORTRAITHEAD_OT_choose_face, PORTRAITHEAD_FH_photo)
