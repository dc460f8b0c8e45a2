"""The features of one tf.train.Example, by name and type, with errors that name file and record.

TensorFlow's own parser wants one fixed schema and reports neither; published records differ in
which features they have, and leave some out.
"""

from gala_tf.data.images import BadImageError


class Fields:
    """A serialised tf.train.Example.

    Args:
      data: the record.
      name: file and record, for messages.

    Raises:
      BadImageError: `data` is no such message.
    """

    def __init__(self, data: bytes, name: str):
        import tensorflow as tf
        from google.protobuf.message import DecodeError

        self._name = name
        try:
            self._features = tf.train.Example.FromString(data).features.feature
        except DecodeError as error:
            raise BadImageError(
                f"{name}: its {len(data)} bytes are no tf.train.Example ({error}). Is it another "
                "kind of file? Else fetch it again."
            ) from error

    def bytes(self, key: str, default: bytes | None = None) -> bytes:
        """One string; `default` if the feature is absent or has no value.

        Raises:
          BadImageError: of another type or number; or absent, without a default.
        """
        values = self._values(key, "bytes_list")
        if not values and default is not None:
            return default
        return self._single(key, values)

    def integer(self, key: str) -> int:
        """One integer; BadImageError if there is none, or more."""
        return self._single(key, self._values(key, "int64_list"))

    def integers(self, key: str) -> tuple[int, ...]:
        """All integers of a feature, () if it is absent; BadImageError for another type."""
        return tuple(self._values(key, "int64_list"))

    def floats(self, key: str) -> list[float] | None:
        """All floats of a feature; None without it, which is not the same as none of them.

        Raises:
          BadImageError: of another type.
        """
        return list(self._values(key, "float_list")) if key in self._features else None

    def _values(self, key, kind):
        if key not in self._features:  # asking a map of messages for a key would make it
            return ()
        feature = self._features[key]
        found = feature.WhichOneof("kind")
        if found not in (None, kind):
            raise BadImageError(
                f"{self._name}: feature {key!r} is a {found}, expected a {kind}. Is it another "
                "source's record?"
            )
        return getattr(feature, kind).value

    def _single(self, key, values):
        if len(values) != 1:
            raise BadImageError(
                f"{self._name}: expected one value of feature {key!r}, got {len(values)}; the "
                f"record has {sorted(self._features)}. Is it another source's record?"
            )
        return values[0]
