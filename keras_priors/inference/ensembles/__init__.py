"""Several points that stand for a posterior."""
