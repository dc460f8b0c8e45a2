"""The last layer of a classifier, which knows its classes by name."""

import keras


@keras.saving.register_keras_serializable("gala_tf")
class ClassLogits(keras.layers.Dense):
    """`keras.layers.Dense` whose saved file holds the names of the classes.

    Args:
        class_names: K names in the order of the logits, or none; may be set later.

    Input [B, C], output [B, K].
    """

    def __init__(self, units, *, class_names=(), **kwargs):
        super().__init__(units, **kwargs)
        self.class_names = class_names

    @property
    def class_names(self):
        return self._class_names

    @class_names.setter
    def class_names(self, names):
        if len(names) not in (0, self.units):
            raise ValueError(
                f"{self.name}: {self.units} classes are told apart, but there are {len(names)} "
                "names. Give one a class, in the order of the logits, or none."
            )
        self._class_names = tuple(map(str, names))

    def get_config(self):
        return {**super().get_config(), "class_names": list(self.class_names)}
