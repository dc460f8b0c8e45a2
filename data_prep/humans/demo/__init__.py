"""What installed packages bring, so that the game and the experiment can be tried at once.

photographs     24 pictures with ImageNet labels
torch_weights   reads a pickled weight file without torch, and without running it
lite0           EfficientNet-Lite0 from such a file: an ONNX graph, written once into the cache
onnx_network    runs an ONNX network on one thread
figures         the quickstart pictures as a folder, with their true figures as masks
importance      which parts of a picture a network needs
"""

from data_prep.humans.demo.photographs import DemoMissing, DemoPicture, pictures

__all__ = ["DemoMissing", "DemoPicture", "pictures"]
