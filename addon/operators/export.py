# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""Write the active head for an engine."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..data.engines import BY_IDENTIFIER
from ..scene.engine_export import export_for_engine
from ..scene.export import ExportError
from ..scene.verify import VerifyError
from .face import HeadOperator


class PORTRAITHEAD_OT_export(HeadOperator, bpy.types.Operator):
    """Write the active head for the chosen engine, read the file back and check it; the scene stays as it is"""

    bl_idname = "portrait_head.export"
    bl_label = "Export Head"
    bl_options = {"REGISTER"}

    filepath: bpy.props.StringProperty(name="File", description="File to write", subtype="FILE_PATH")
    filter_glob: bpy.props.StringProperty(default="*.glb;*.fbx", options={"HIDDEN"})
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        engine = BY_IDENTIFIER[context.scene.portrait_head_export.engine]
        name = bpy.path.clean_name(self.head(context).collection.name)
        self.filepath = str(Path(self.filepath or bpy.path.abspath("//")).with_name(f"{name}.{engine.kind}"))
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        path = Path(bpy.path.abspath(self.filepath))
        if not self.filepath or path.is_dir():
            self.report({"ERROR"}, "Name the file to write.")
            return {"CANCELLED"}
        window = context.window
        if window is not None:
            window.cursor_set("WAIT")
        try:
            options = context.scene.portrait_head_export.to_options()
            made = export_for_engine(self.head(context), path, options)
        except (ExportError, VerifyError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        finally:
            if window is not None:
                window.cursor_set("DEFAULT")
        sizes = " / ".join(f"{count:,}" for count in made.triangles)
        names = ", ".join(each.name for each in made.files)
        self.report({"INFO"}, f"{names}: {len(made.keys)} keys, {sizes} triangles, read back and checked")
        return {"FINISHED"}


CLASSES = (PORTRAITHEAD_OT_export,)
