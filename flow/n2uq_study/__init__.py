"""The study of N2UQ against uniform quantization, under one recipe, in accuracy and in hardware; see `flow.study`."""
