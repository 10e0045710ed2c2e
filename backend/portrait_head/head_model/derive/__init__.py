"""Scripts that make the small tables in `head_model/data`; the product itself never runs them."""
