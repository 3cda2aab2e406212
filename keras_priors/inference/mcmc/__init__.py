"""Hamiltonian Monte Carlo on all rows."""
