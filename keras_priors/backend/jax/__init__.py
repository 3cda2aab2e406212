"""JAX, with TFP's JAX substrate."""
