"""Light, cameras and rays: arrays in, arrays out."""
