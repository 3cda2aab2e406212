"""The member of a family that is nearest to the posterior."""
