"""Samplers, and averages, of stochastic gradient descent."""
