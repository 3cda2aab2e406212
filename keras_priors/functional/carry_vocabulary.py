"""What a preprocessing layer has learned by `adapt` and its config does not hold."""

from typing import Any

import keras

_WITH_VOCABULARY = (
    keras.layers.TextVectorization,
    keras.layers.StringLookup,
    keras.layers.IntegerLookup,
)


def carry_vocabulary(old: Any, new: Any) -> None:
    """Give a copy the vocabulary of the layer that it was made of.

    Keras keeps one that was adapted as an asset of a file: neither in the config nor in weights.

    Raises:
        ValueError: weights of TF-IDF that were adapted, which Keras gives back in no form.
    """
    if not isinstance(old, _WITH_VOCABULARY) or old.get_vocabulary() == new.get_vocabulary():
        return
    if old.get_config()["output_mode"] == "tf_idf":
        raise ValueError(
            "A copy of a layer has its vocabulary, and Keras gives weights of TF-IDF that were "
            f"adapted to none. Received: {old.name} ({type(old).__name__}) with "
            'output_mode="tf_idf". Give `vocabulary` and `idf_weights` to its constructor, or '
            "apply it before the model."
        )
    new.set_vocabulary(old.get_vocabulary(include_special_tokens=False))
