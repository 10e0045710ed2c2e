"""Photo files, the faces in them, and what belongs to one head."""
