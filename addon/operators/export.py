# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""Write the active head for an engine."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..data.engines import BY_IDENTIFIER, Engine
from ..scene.engine_export import export_for_engine, with_ending
from ..scene.export import ExportError
from ..scene.heads import head_with
from ..scene.verify import VerifyError
from ..ui.view import redraw
from .face import HeadOperator

MOMENT = 0.1
"""Seconds between two looks whether the panel has been drawn, after which Blender's exporter, which cannot be
interrupted, begins."""
PATIENCE = 1.0
"""Seconds after which it begins all the same: the sidebar may be closed."""

_writing = ""
_told = False


class PORTRAITHEAD_OT_export(HeadOperator, bpy.types.Operator):
    """Write the active head for the chosen engine, read the file back and check it; the scene stays as it is"""

    bl_idname = "portrait_head.export"
    bl_label = "Export Head"
    bl_options = {"REGISTER"}

    _timer: bpy.types.Timer | None = None
    _chosen = False
    _target: int  # session_uid of the collection of the head that is written

    filepath: bpy.props.StringProperty(name="File", description="File to write", subtype="FILE_PATH")
    filter_glob: bpy.props.StringProperty(default="*.glb;*.fbx", options={"HIDDEN"})
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        engine = BY_IDENTIFIER[context.scene.portrait_head_export.engine]
        name = bpy.path.clean_name(self.head(context).collection.name)
        self.filepath = suggested(name, engine, self.filepath)
        self._chosen = True
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, context: bpy.types.Context) -> bool:
        """Give the name its ending while it is typed, so that the file browser warns of what would be replaced."""
        typed = self.filepath
        if Path(typed).name:
            engine = BY_IDENTIFIER[context.scene.portrait_head_export.engine]
            self.filepath = str(with_ending(Path(typed), engine))
        return self.filepath != typed

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write; with a file that was chosen in a window a moment later, so that the panel can say first what comes."""
        path = Path(bpy.path.abspath(self.filepath))
        if not self.filepath or path.is_dir():
            self.report({"ERROR"}, "Name the file to write.")
            return {"CANCELLED"}
        self._target = self.head(context).collection.session_uid
        if not self._chosen:
            return self._write(context, path)
        _show(context, with_ending(path, BY_IDENTIFIER[context.scene.portrait_head_export.engine]).name)
        manager = context.window_manager
        self._timer = manager.event_timer_add(MOMENT, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        assert self._timer is not None
        if event.type != "TIMER" or not (_told or self._timer.time_duration > PATIENCE):
            return {"PASS_THROUGH"}
        context.window.cursor_set("WAIT")
        try:
            return self._write(context, Path(bpy.path.abspath(self.filepath)))
        finally:
            context.window.cursor_set("DEFAULT")
            self.cancel(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """It is over, or Blender ends the operator."""
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        _show(context, "")

    def _write(self, context: bpy.types.Context, path: Path) -> set[str]:
        head = head_with(self._target)
        if head is None:
            self.report({"ERROR"}, "The head that was to be written is gone.")
            return {"CANCELLED"}
        try:
            made = export_for_engine(head, path, context.scene.portrait_head_export.to_options())
        except (ExportError, VerifyError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        sizes = " / ".join(f"{count:,}" for count in made.triangles)
        names = ", ".join(each.name for each in made.files)
        self.report({"INFO"}, f"{names}: {len(made.keys)} keys, {sizes} triangles, read back and checked")
        return {"FINISHED"}


def writing() -> str:
    """For the panel that is drawn: the name of the file that is about to be written; empty where none is."""
    global _told
    _told = True
    return _writing


def _show(context: bpy.types.Context, name: str) -> None:
    global _writing, _told
    _writing, _told = name, False
    redraw(context)


def suggested(name: str, engine: Engine, last: str) -> str:
    """Where to write: beside the last file, else beside the .blend file; without either the file browser knows."""
    return str(Path(last or bpy.data.filepath).parent / f"{name}.{engine.kind}")


CLASSES = (PORTRAITHEAD_OT_export,)
