"""Where a program computes: one device or many, one machine or several.

strategy   the devices of this machine, or a TPU, as a `tf.distribute` strategy; its memory
cluster    several machines, from TF_CONFIG
consensus  what their processes agree on, and what is said when one is lost
"""
