# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""Generate a head from the photo in the panel, and cancel it."""

from __future__ import annotations

import time
from pathlib import Path

import bpy

from ..client.draining import STEP_SECONDS
from ..client.errors import ClientError
from ..client.events import Finished
from ..scene.asset import AssetError
from ..scene.heads import active_head, head_with
from ..scene.importer import import_steps
from ..scene.retexture import retexture_steps
from ..scene.steps import Steps
from ..ui.view import redraw, show
from . import jobs, looking

TIMER_SECONDS = 0.1
TICK_SECONDS = 0.008
"""How long a tick may go on taking steps; the longest step of an import adds to it."""

Ending = Steps[str]
"""What is done with a finished asset, in short steps; returns what to tell the artist."""


class PORTRAITHEAD_OT_generate(bpy.types.Operator):
    """Make a head from the photo and add it to the scene; Blender stays usable meanwhile"""

    bl_idname = "portrait_head.generate"
    bl_label = "Generate Head"

    purpose: bpy.props.EnumProperty(
        name="Purpose",
        description="What becomes of the result",
        items=(
            ("HEAD", "New Head", "Add the head to the scene"),
            ("TEXTURES", "New Textures", "Give the active head the new textures, and keep all else as it is"),
        ),
        options={"SKIP_SAVE"},
    )

    _job: jobs.HeadJob
    _ending: Ending | None = None
    _target: int | None = None  # session_uid of the collection of the head that gets new textures
    _timer: bpy.types.Timer | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = jobs.why_not(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if bpy.app.background or context.window is None:
            return self.execute(context)
        try:
            self._start(context)
        except ClientError as error:
            return self._fail(error)
        manager = context.window_manager
        self._timer = manager.event_timer_add(TIMER_SECONDS, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        done = True  # also after an error that nobody foresaw: the panel must not show it for ever
        try:
            done = self._tick()
        except ClientError as error:
            return self._fail(error)
        finally:
            if done:
                jobs.status.running = False
                self._remove_timer(context)
                looking.look_at(context.scene.portrait_head.photo_path())  # one that was chosen meanwhile
            redraw(context)
        return self._finish(context) if done else {"PASS_THROUGH"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """The same without a window: timers never fire there, so this waits."""
        try:
            self._start(context)
            while not self._tick():
                time.sleep(STEP_SECONDS)
        except ClientError as error:
            return self._fail(error)
        finally:
            jobs.status.running = False
        return self._finish(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: another file is opened, or the window closes."""
        self._job.abandon()
        if self._ending is not None:
            self._ending.close()
        self._remove_timer(context)

    def _start(self, context: bpy.types.Context) -> None:
        head = active_head(context) if self.purpose == "TEXTURES" else None
        self._target = head.collection.session_uid if head is not None else None
        if self.purpose == "TEXTURES" and self._target is None:
            raise ClientError("no_head", "No head is selected.", "Select the head that is to get the new textures.")
        self._job = jobs.HeadJob(context, context.scene.portrait_head.to_head_settings())

    def _tick(self) -> bool:
        """Take steps for a moment; whether that was the last. Raises ClientError."""
        deadline = time.perf_counter() + TICK_SECONDS
        while time.perf_counter() < deadline:
            if self._ending is None:
                finished = self._job.step()
                if finished is None:
                    return False
                self._ending = self._end(finished)
                jobs.status.running, jobs.status.stage = True, "Adding it to the scene"
            if jobs.status.cancelling:
                self._ending.close()
                raise ClientError("cancelled", "The head was not added.", "It is finished, under Earlier Heads.")
            try:
                next(self._ending)
            except StopIteration as end:
                jobs.status.result = end.value
                return True
            except AssetError as error:
                raise ClientError("bad_asset", str(error)) from error
        return False

    def _end(self, finished: Finished) -> Ending:
        if self._target is not None:
            names = yield from retexture_steps(self._target, Path(finished.asset))
            return f"New textures: {', '.join(names)}" if names else "No material of this head is as it was made"
        head = yield from import_steps(Path(finished.asset))
        identity = head.collection.session_uid
        yield
        if (head := head_with(identity)) is not None:
            show(bpy.context, head.head)
        return "The head is in the scene"

    def _finish(self, context: bpy.types.Context) -> set[str]:
        # An undo step of its own: whatever the artist did while the head was made keeps its own steps.
        if bpy.ops.ed.undo_push.poll():
            bpy.ops.ed.undo_push(message=self.bl_label)
        for message in jobs.status.warnings:
            self.report({"WARNING"}, message)
        self.report({"INFO"}, jobs.status.result)
        return {"FINISHED"}

    def _remove_timer(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None

    def _fail(self, error: ClientError) -> set[str]:
        jobs.status.error = error
        if error.kind == "cancelled" or bpy.app.background or bpy.context.window is None:
            self.report({"INFO" if error.kind == "cancelled" else "ERROR"}, str(error))
        else:
            bpy.ops.portrait_head.show_error("INVOKE_DEFAULT")
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


CLASSES = (PORTRAITHEAD_OT_generate, PORTRAITHEAD_OT_cancel)
