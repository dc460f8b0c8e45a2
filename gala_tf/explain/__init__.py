"""Any Keras network, seen from inside, loaded and written down.

explanations     gradients, SmoothGrad, Grad-CAM, attention: maps over images
endings          whether a network ends in logits or in probabilities
network_parts    logits without the softmax, layers' outputs, which volumes are scored
saved_models     anyone's `.keras` files
exporting        a trained network as a `.keras` file and a SavedModel
"""
