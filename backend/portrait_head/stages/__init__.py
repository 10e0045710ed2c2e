"""The stages of the pipeline, one file each: a result dataclass and the function `run` that makes it."""
