"""The fit: from landmarks, shading and outline of one photo to a head, a camera, an expression and a light."""
