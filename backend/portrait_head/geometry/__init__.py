"""Shapes and fields, known to arrays and tensors alone: grids of tetrahedra, extraction, hair, registration."""
