"""A normal distribution around the mode."""
