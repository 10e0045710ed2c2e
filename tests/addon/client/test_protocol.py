from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from addon.client import protocol
from addon.client.events import Failed, Finished, ProgressMade, StageStarted, event_from
from addon.client.protocol import Garbage, LineBuffer, Notification, Refusal, Reply, decode, encode


def test_a_request_is_one_line_of_json_rpc():
    line = encode(7, "generate", {"request": {"photos": ["/tmp/Bild für\nMüller.jpg"]}, "job": "/tmp/job"})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "generate",
        "params": {"request": {"photos": ["/tmp/Bild für\nMüller.jpg"]}, "job": "/tmp/job"},
    }


def test_messages_are_told_apart():
    assert decode(b'{"jsonrpc":"2.0","id":1,"result":{"protocol":1}}') == Reply(1, {"protocol": 1})
    assert decode(b'{"method":"stage","params":{"name":"fit"}}') == Notification("stage", {"name": "fit"})
    refusal = decode(b'{"id":2,"error":{"code":-32602,"message":"m","data":{"kind":"k","message":"M","hint":"h"}}}')
    assert refusal == Refusal(2, "k", "M", "h")
    assert decode(b'{"id":null,"error":{"code":-32700,"message":"no json"}}') == Refusal(None, "refused", "no json", "")


@given(st.one_of(st.binary(), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(repr)))
def test_no_line_makes_decoding_fail(line: bytes | str):
    decode(line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error", "name", "done", "total", "eta_s"])


@given(st.dictionaries(keys, json_values))
def test_no_json_object_makes_decoding_fail(values: dict):
    message = decode(json.dumps(values).encode())
    if isinstance(message, Notification):
        event_from(message.method, message.params)


@given(
    st.sampled_from(["stage", "progress", "preview", "warning", "error", "done"]), st.dictionaries(keys, json_values)
)
def test_no_parameters_make_an_event_fail(method: str, params: dict):
    event = event_from(method, params)
    if isinstance(event, ProgressMade):
        assert 0.0 <= event.fraction <= 1.0


@given(st.lists(st.binary(max_size=20).filter(lambda line: line.strip(b"\r\n") and b"\n" not in line)), st.data())
def test_lines_arrive_whole_however_they_are_cut(lines: list[bytes], data: st.DataObject):
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    buffer = LineBuffer()
    received = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += buffer.feed(stream[start:stop])
    assert received == [line.strip(b"\r") for line in lines]


def test_a_half_line_waits_for_its_end():
    buffer = LineBuffer()
    assert buffer.feed(b'{"method":"wa') == []
    assert buffer.feed(b'rning"}\n{"me') == [b'{"method":"warning"}']


def test_a_stream_without_line_ends_does_not_pile_up():
    buffer = LineBuffer()
    pieces = [line for _ in range(20) for line in buffer.feed(b"x" * (protocol.LONGEST_LINE // 4 + 1))]
    assert pieces
    assert all(isinstance(decode(piece), Garbage) for piece in pieces)


def test_events_carry_what_was_told():
    assert event_from("stage", {"name": "fit", "index": 2, "count": 7}) == StageStarted("fit", 2, 7)
    assert event_from("progress", {"done": 1, "total": 4, "eta_s": None}) == ProgressMade(1.0, 4.0, None)
    assert event_from("error", {"kind": "no_face", "message": "m", "hint": "h"}) == Failed("no_face", "m", "h")
    assert event_from("done", {"asset": "a", "report": "r"}) == Finished("a", "r")
    assert event_from("done", {"asset": "a"}) is None
    assert event_from("telepathy", {}) is None


def test_progress_is_a_share_of_the_whole():
    assert ProgressMade(1, 4, None).fraction == 0.25
    assert ProgressMade(5, 4, None).fraction == 1.0
    assert ProgressMade(1, 0, None).fraction == 0.0
    assert ProgressMade(float("nan"), 1, None).fraction == 0.0
