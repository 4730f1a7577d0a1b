"""The one place where TensorFlow, Keras 2 and QKeras enter the project.

QKeras and hls4ml's Keras 2 front end need `tf_keras`, which TensorFlow only hands out when
`TF_USE_LEGACY_KERAS` is set before its first import. Importing this module takes seconds:
import it inside the functions that need it, so that `flow --help` stays fast.

    from flow.keras_env import keras, qkeras, tf
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Drops what TensorFlow's C++ parts write before their log level is known."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


with _quiet_stderr(), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    import qkeras
    import tf_keras as keras

# QKeras hands each initializer to several layers; the seed is set where networks are trained.
warnings.filterwarnings("ignore", message="The initializer .* is unseeded")
# QKeras' quantizers stand where Keras writes constraints; they come back whole.
warnings.filterwarnings("ignore", message="The `keras.constraints.serialize")

__all__ = ["keras", "precision", "qkeras", "tf"]


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Builds the layers inside the block with a Keras dtype policy and restores the old one.

    Args:
        policy: ``"float32"`` or ``"mixed_bfloat16"`` (bfloat16 arithmetic, float32 variables).
    """
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
