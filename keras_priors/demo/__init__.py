"""The main job on real data: `python -m keras_priors.demo`."""
