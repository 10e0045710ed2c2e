"""Speed, each time against something else in the same run."""
