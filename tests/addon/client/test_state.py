from __future__ import annotations

import itertools

import pytest

from addon.client.state import BUSY, TRANSITIONS, State, StateMachine


def test_every_state_has_a_row_and_its_words():
    assert set(TRANSITIONS) == set(State)
    assert [state.value for state in State] == [
        "not installed", "installing", "stopped", "starting", "ready", "running", "error",
    ]  # fmt: skip


def test_the_way_from_nothing_to_a_head_and_back():
    machine = StateMachine(State.NOT_INSTALLED)
    way = (
        State.INSTALLING, State.STOPPED, State.STARTING, State.READY, State.RUNNING, State.READY, State.STOPPED,
        State.INSTALLING, State.NOT_INSTALLED,
    )  # fmt: skip
    for state in way:
        machine.to(state)
        assert machine.state is state


def test_only_the_steps_of_the_table_are_taken():
    for start, end in itertools.product(State, State):
        machine = StateMachine(start)
        if end in TRANSITIONS[start] or end is start:
            machine.to(end)
            assert machine.state is end
        else:
            with pytest.raises(ValueError, match=f"from {start.value} to {end.value}"):
                machine.to(end)
            assert machine.state is start


def test_every_state_can_be_reached_and_left():
    for start in State:
        reached = {start}
        while grown := {end for state in reached for end in TRANSITIONS[state]} - reached:
            reached |= grown
        assert reached == set(State)


def test_whatever_is_under_way_can_fail_and_can_be_stopped():
    for state in BUSY:
        assert State.ERROR in TRANSITIONS[state]
        assert TRANSITIONS[state] & {State.STOPPED, State.NOT_INSTALLED}
