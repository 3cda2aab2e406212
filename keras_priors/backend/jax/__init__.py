"""JAX, with TFP's JAX substrate.

No method runs on it alone. What it alone needs: an import of TFP that is mended for it
(`backend/tfp/library.py`), and a branch that keeps XLA from drawing noise twice (`noise.py`).
"""
