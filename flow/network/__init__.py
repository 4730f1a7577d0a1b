"""Networks that the flow did not make: files of trained models, and samples to try them on.

Importing this package does not import TensorFlow.
"""

from flow.network.file import is_model_file, load_model_file, network_name, read_configuration, weights_file
from flow.network.samples import Samples, load_samples

__all__ = [
    "Samples",
    "is_model_file",
    "load_model_file",
    "load_samples",
    "network_name",
    "read_configuration",
    "weights_file",
]
