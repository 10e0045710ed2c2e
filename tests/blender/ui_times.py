# SPDX-License-Identifier: GPL-3.0-or-later
"""How long `ui_driver.py` sees Blender held up: by panels that are drawn, and by ticks of timers."""

import contextlib
import math
import statistics
import time

Times = list[tuple[float, float]]
"""Seconds by the clock, and of processor time: a busy machine makes the former long."""


def figures(times: Times) -> dict[str, float]:
    """What is told of a list of times, in milliseconds."""
    clock, processor = ([1000 * each for each in column] for column in zip(*times, strict=True))
    return {
        "count": len(clock),
        "median": statistics.median(clock),
        "p99": sorted(clock)[math.ceil(0.99 * len(clock)) - 1],
        "longest": max(clock),
        "processor": max(processor),
    }


@contextlib.contextmanager
def noted(times: Times):
    """Notes how long its block takes."""
    clock, processor = time.perf_counter(), time.thread_time()
    try:
        yield
    finally:
        times.append((time.perf_counter() - clock, time.thread_time() - processor))


def time_drawing(panel, times: Times) -> None:
    """Notes how long each drawing of a panel takes. Blender counts the arguments, so they must be written out."""
    original = panel.draw

    def draw(self, context):
        with noted(times):
            original(self, context)

    panel.draw = draw


def time_ticks(operator, choose_times) -> None:
    """Notes how long each tick of a modal operator takes; `choose_times` says for the operator in which list."""
    original = operator.modal

    def modal(self, context, event):
        if event.type != "TIMER":
            return original(self, context, event)
        times: Times = []
        try:
            with noted(times):
                return original(self, context, event)
        finally:
            choose_times(self).extend(times)

    operator.modal = modal


def time_looking(looking, times: Times) -> None:
    """Notes how long each tick takes in which the faces of a photo are asked for."""
    original = looking._tick

    def tick():
        with noted(times):
            return original()

    looking._tick = tick
