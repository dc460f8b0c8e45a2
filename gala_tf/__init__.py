"""GALA: networks that learn what and where to attend, with humans in the loop.

A reproduction of Linsley, Shiebler, Eberhardt and Serre, "Learning what and where to attend"
(ICLR 2019), in TensorFlow and Keras 3. Where to look:

    layers/       the attention blocks (GALA, squeeze-and-excitation): the contribution
    models/       the ResNet they live in
    losses.py     Eq. 1: cross-entropy plus the click-map loss;  metrics.py: its scores
    train.py      a command, as evaluate.py and others beside it: python -m gala_tf lists them
    config.py     every hyper-parameter;  command.py, command_line/: what commands share

    data/         what `data_prep` builds, read;  distribution/: one machine or many
    runs/         what a run leaves on disk;  explain/, pictures/: any network, seen from inside
    evaluation/   errors, and how well maps agree with people's;  resilience/: full disks, stalls
    training/     the loop
    paper/        its tables, sweeps, report and figures;  tpu_checking/: will it compile for a TPU

Importing this package imports nothing heavy and changes no setting.
"""

from gala_tf.command_line import first_moments

first_moments.guard()  # does nothing but where this is `python -m` of a command

__version__ = "0.1.0"
