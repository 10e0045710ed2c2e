# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate a head from the photo in the panel, and cancel it."""

from __future__ import annotations

import time
from pathlib import Path

import bpy

from ..client.errors import ClientError
from ..client.events import Finished
from ..client.session import STEP_SECONDS
from ..scene.asset import AssetError
from ..scene.importer import import_head
from ..ui.view import redraw, show
from . import jobs

TIMER_SECONDS = 0.1


class PORTRAITHEAD_OT_generate(bpy.types.Operator):
    """Make a head from the photo and add it to the scene; Blender stays usable meanwhile"""

    bl_idname = "portrait_head.generate"
    bl_label = "Generate Head"

    _job: jobs.HeadJob
    _timer: bpy.types.Timer | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = _why_not(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if bpy.app.background or context.window is None:
            return self.execute(context)
        try:
            self._job = _start(context)
        except ClientError as error:
            return self._fail(error)
        manager = context.window_manager
        self._timer = manager.event_timer_add(TIMER_SECONDS, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        try:
            finished = self._job.step()
        except ClientError as error:
            return self._fail(error)
        finally:
            if not jobs.status.running:
                self._remove_timer(context)
            redraw(context)
        return {"PASS_THROUGH"} if finished is None else self._import(context, finished)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """The same without a window: timers never fire there, so this waits."""
        try:
            job = _start(context)
            while (finished := job.step()) is None:
                time.sleep(STEP_SECONDS)
        except ClientError as error:
            return self._fail(error)
        return self._import(context, finished)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: another file is opened, or the window closes."""
        self._job.abandon()
        self._remove_timer(context)

    def _import(self, context: bpy.types.Context, finished: Finished) -> set[str]:
        try:
            head = import_head(Path(finished.asset))
        except AssetError as error:
            return self._fail(ClientError("bad_asset", str(error)))
        show(context, head.head)
        # An undo step of its own: whatever the artist did while the head was made keeps its own steps.
        if bpy.ops.ed.undo_push.poll():
            bpy.ops.ed.undo_push(message=self.bl_label)
        for message in jobs.status.warnings:
            self.report({"WARNING"}, message)
        self.report({"INFO"}, "The head is in the scene")
        return {"FINISHED"}

    def _remove_timer(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None

    def _fail(self, error: ClientError) -> set[str]:
        jobs.status.error = error
        self.report({"INFO" if error.kind == "cancelled" else "ERROR"}, str(error))
        return {"CANCELLED"}


class PORTRAITHEAD_OT_cancel(bpy.types.Operator):
    """Stop making the head; generating it again continues after its last finished stage"""

    bl_idname = "portrait_head.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return jobs.status.running

    def execute(self, context: bpy.types.Context) -> set[str]:
        jobs.cancel()
        return {"FINISHED"}


def _start(context: bpy.types.Context) -> jobs.HeadJob:
    return jobs.HeadJob(context, context.scene.portrait_head.to_head_settings())


def _why_not(context: bpy.types.Context) -> str:
    if jobs.status.running:
        return "A head is already under way"
    photo = context.scene.portrait_head.photo_path()
    if not photo:
        return "Choose a photo first"
    if not Path(photo).is_file():
        return f"The photo “{photo}” does not exist"
    found = jobs.find(context)
    return found.message if isinstance(found, ClientError) else ""
