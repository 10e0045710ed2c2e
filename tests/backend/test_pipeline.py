"""What the pipeline says of its stages is so."""

import inspect
import re
import sys

import pytest
from portrait_head.pipeline import STAGES

# What the diffusion tier's stages read besides, and what is known by the contents of the file that it names.
OF_THE_TIER = {"guide": {"prompt", "preset"}, "sculpt": {"initial_mesh"}}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_declares_what_it_reads_of_the_request_and_nothing_else(stage):
    """Undeclared, a change would be overlooked; declared without need, work would be done twice."""
    source = inspect.getsource(sys.modules[stage.run.__module__])
    read = set(re.findall(r"\brequest\.(\w+)", source))

    assert read - OF_THE_TIER.get(stage.name, set()) == set(stage.reads)
