# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the backend and keep it well, look for it again, and read what it left in its logs."""

from __future__ import annotations

import time
from dataclasses import dataclass

import bpy

from .. import ROOT_PACKAGE
from ..client.backend import Backend
from ..client.draining import STEP_SECONDS
from ..client.errors import ClientError
from ..client.events import Event, Installed, InstallStep, ProgressMade, Warned
from ..client.installer import Action, Installation
from ..client.session import Steps
from ..client.state import State
from ..ui.view import redraw
from . import jobs

TIMER_SECONDS = 0.1
DOWNLOADING = (Action.INSTALL, Action.UPGRADE, Action.REPAIR)


@dataclass
class InstallStatus:
    """What the panel shows of the latest installation."""

    running: bool = False
    message: str = ""
    fraction: float = 0.0
    warnings: tuple[str, ...] = ()
    error: ClientError | None = None

    def listen(self, event: Event) -> None:
        """Take over what an event says."""
        match event:
            case InstallStep(_, message):
                self.message = message
            case ProgressMade():
                self.fraction = event.fraction
            case Warned(message):
                self.warnings += (message,)


status = InstallStatus()


class _Maintenance:
    """What the operators share that call the installer: steps on a timer with a window, in a loop without."""

    action: Action
    _steps: Steps
    _timer: bpy.types.Timer | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = _why_not(context, cls.action)
        if reason:
            cls.poll_message_set(reason)  # pyright: ignore
        return not reason

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if bpy.app.background or context.window is None:
            return self.execute(context)
        self._steps = _begin(context, self.action)
        manager = context.window_manager
        self._timer = manager.event_timer_add(TIMER_SECONDS, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        try:
            over = self._step()
        except ClientError as error:
            return self._fail(context, error)
        redraw(context)
        return self._finish(context) if over else {"PASS_THROUGH"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """The same without a window: timers never fire there, so this waits."""
        self._steps = _begin(context, self.action)
        try:
            while not self._step():
                time.sleep(STEP_SECONDS)
        except ClientError as error:
            return self._fail(context, error)
        return self._finish(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: another file is opened, or the window closes."""
        self._steps.close()
        self._end(context)

    def _step(self) -> bool:
        """Go on without waiting; whether it is over. Raises ClientError when it fails."""
        for event in next(self._steps):
            status.listen(event)
            if isinstance(event, Installed):
                next(self._steps, None)  # past its last yield the generator settles the session's state
                return True
        return False

    def _finish(self, context: bpy.types.Context) -> set[str]:
        self._end(context)
        for message in status.warnings:
            self.report({"WARNING"}, message)  # pyright: ignore
        self.report({"INFO"}, status.message)  # pyright: ignore
        return {"FINISHED"}

    def _fail(self, context: bpy.types.Context, error: ClientError) -> set[str]:
        self._end(context)
        status.error = error
        self.report({"INFO" if error.kind == "cancelled" else "ERROR"}, str(error))  # pyright: ignore
        return {"CANCELLED"}

    def _end(self, context: bpy.types.Context) -> None:
        status.running = False
        jobs.find_anew()
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        redraw(context)


def _operator(action: Action, label: str, description: str) -> type:
    name = action.name.lower()
    told = {"bl_idname": f"portrait_head.{name}_backend", "bl_label": label, "bl_description": description}
    return type(f"PORTRAITHEAD_OT_{name}_backend", (_Maintenance, bpy.types.Operator), {**told, "action": action})


MAINTENANCE = (
    _operator(
        Action.INSTALL,
        "Install",
        "Download what makes the heads, about 3 GB with what it needs, into a folder of its own outside Blender",
    ),
    _operator(
        Action.UPGRADE,
        "Upgrade",
        "Replace the installed backend by the version that belongs to this add-on; model packs stay",
    ),
    _operator(Action.VERIFY, "Verify", "Look whether every part of the installed backend works"),
    _operator(Action.REPAIR, "Repair", "Install the backend anew; model packs stay"),
    _operator(Action.REMOVE, "Remove", "Take away what Install has put into the folder; model packs stay"),
)
"""What calls the installer, an operator an action."""


class PORTRAITHEAD_OT_cancel_install(bpy.types.Operator):
    """Stop installing; doing it again continues where it stopped"""

    bl_idname = "portrait_head.cancel_install"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return status.running

    def execute(self, context: bpy.types.Context) -> set[str]:
        jobs.session(context).cancel()
        status.message = "Cancelling"
        return {"FINISHED"}


class PORTRAITHEAD_OT_find_backend(bpy.types.Operator):
    """Look again for the backend and for what it has, for instance after installing it or downloading model packs"""

    bl_idname = "portrait_head.find_backend"
    bl_label = "Look Again"

    def execute(self, context: bpy.types.Context) -> set[str]:
        jobs.ask_anew()
        if not status.running:
            status.error, status.warnings = None, ()
        return {"FINISHED"}


class PORTRAITHEAD_OT_open_log(bpy.types.Operator):
    """Open the backend's log"""

    bl_idname = "portrait_head.open_log"
    bl_label = "Open Log"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return jobs.log_path().exists()

    def execute(self, context: bpy.types.Context) -> set[str]:
        return bpy.ops.wm.path_open(filepath=str(jobs.log_path()))


CLASSES = (
    *MAINTENANCE,
    PORTRAITHEAD_OT_cancel_install,
    PORTRAITHEAD_OT_find_backend,
    PORTRAITHEAD_OT_open_log,
)


def _begin(context: bpy.types.Context, action: Action) -> Steps:
    global status
    preferences = context.preferences.addons[ROOT_PACKAGE].preferences
    wheels = bpy.path.abspath(preferences.wheels_folder) if preferences.wheels_folder else ""
    installation = Installation(preferences.install_path(), action, preferences.device, wheels)
    status = InstallStatus(running=True, message="Starting the installer")
    return jobs.session(context).install(installation, lambda: _found(context))


def _found(context: bpy.types.Context) -> Backend:
    jobs.find_anew()
    found = jobs.find(context)
    if isinstance(found, ClientError):
        raise found
    return found


def _why_not(context: bpy.types.Context, action: Action) -> str:
    """Why the installer cannot be called now; empty where it can."""
    if jobs.status.running:
        return "A head is being made"
    if jobs.backend_state() is State.INSTALLING:
        return "The backend is being installed already"
    offline = context.preferences.addons[ROOT_PACKAGE].preferences.wheels_folder
    if action in DOWNLOADING and not bpy.app.online_access and not offline:
        return (
            "Blender may not go online: switch on Allow Online Access in the preferences under System, "
            "or name a folder of Offline Packages"
        )
    return ""
