"""Any Keras network, seen from inside: saved models, their parts, gradient explanations."""
