"""Bit-Mixer: networks whose layers change width while they run (arXiv 2103.17267).

    trained = train_mixer(spec, (2, 3, 4), data, start)          # flow.mixer.run: three stages
    trained.model.set_bits({"s1_conv1": 4, ...})
    curve = evaluate_mixer(path, data, samples=100, ...)          # flow.mixer.evaluate: accuracy over configurations
    integers = export_integers(plan, trained.model)               # flow.mixer.integers: what the hardware holds

Nothing is imported here: `flow --help` does not wait for TensorFlow.
"""
