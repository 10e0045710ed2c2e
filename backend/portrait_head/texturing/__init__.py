"""Textures of the head: the photo carried onto it, and everything the photo does not show."""
