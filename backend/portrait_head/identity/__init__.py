"""Who is in a photo, as numbers: encoders, averages over photos, and how alike two faces are."""
