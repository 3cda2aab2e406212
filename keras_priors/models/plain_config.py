"""A Keras layer's configuration without anything of keras_priors in it."""

from typing import Any

PACKAGE = "keras_priors>"


def plain_config(config: Any) -> Any:
    """`config` with every serialized prior or constraint of this package replaced by None."""
    if isinstance(config, dict):
        if str(config.get("registered_name") or "").startswith(PACKAGE):
            return None
        return {key: plain_config(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(plain_config(value) for value in config)
    return config
