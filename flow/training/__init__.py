"""Float and quantization-aware training, checkpoints, resuming.

from flow.training.run import train_float, train_quantized       # these import TensorFlow
from flow.training.checkpoints import find_checkpoint, load_checkpoint

start = train_float(spec, data)
trained = train_quantized(spec, BitsSpec.uniform(spec, 4), data, start.model)
path = trained.save("flow train --model tiny --bits 4", folder)
model, meta = load_checkpoint(path)
"""
