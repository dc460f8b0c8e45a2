"""What `gala_tf.tpu_check` is made of: from a traced step to a verdict of the TPU compiler.

check.py        the whole check: every step on every topology, the largest batch, the faults
steps.py        the training and evaluation steps of `train` and `evaluate`, traced for one core
pure_step.py    a traced step as a pure function of its variables' values
lowering.py     stage 1, a process of its own: the step -> HLO with TensorFlow's TPU kernels
compiling.py    stage 2, a process of its own: HLO -> TPU executable with libtpu
environment.py  the virtual environment that both run in
hlo.py, lint.py what the compiler accepts and hardware regrets: float64, dynamic shapes, ...
verdicts.py     a step through both stages; verdicts are kept by the hash of what was compiled
summary.py      what the chips have, the floor that FLOPs and bytes imply, the table
"""
