"""tf.train.Example records of others."""
