"""Any Keras network, seen from inside.

saved_models.py   loading anyone's saved classifier, and giving it images in its own range
network_parts.py  logits without the softmax; the output of a layer
explanations.py   where a classifier looks: gradients, SmoothGrad, grad-CAM
"""
