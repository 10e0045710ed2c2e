"""Carving the surface of this person's head, hair included, out of a grid of tetrahedra."""
