"""Surfaces made from fields: the hair over a head."""
