"""A job killed in every stage, against one that nobody touched."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PATIENCE = 120.0


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "portrait_head", "generate", "--sample", "--output", str(folder)]


def stages_begun(folder: Path) -> int:
    log = folder / "events.jsonl"
    if not log.exists():
        return 0
    lines = [line for line in log.read_text().splitlines() if '"stage"' in line]
    return json.loads(lines[-1])["params"]["index"] if lines else 0


def kill_in_stage(folder: Path, index: int) -> None:
    """Start the job and kill it hard as soon as stage `index` has begun."""
    log = folder / "events.jsonl"
    log.unlink(missing_ok=True)
    process = subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + PATIENCE
    while stages_begun(folder) < index:
        assert process.poll() is None, "the job ended before it could be killed"
        assert time.monotonic() < give_up
        time.sleep(0.01)
    time.sleep(0.05 * index)  # not always at the very start of a stage
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_job_killed_in_each_stage_gives_the_same_bytes(sample_job, tmp_path):
    folder = tmp_path / "job"
    for index in range(1, 8):
        kill_in_stage(folder, index)
    subprocess.run(command(folder), check=True, capture_output=True)

    arrays = sorted(path.relative_to(sample_job) for path in sample_job.glob("*/*") if path.name != "stage.json")
    assert len(arrays) > 15
    for path in arrays:
        assert (folder / path).read_bytes() == (sample_job / path).read_bytes(), path
    assert not list(folder.glob(".*.part"))
