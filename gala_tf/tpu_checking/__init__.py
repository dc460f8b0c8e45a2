"""From a traced step to a verdict of the TPU compiler.

check.py        the whole check: every step on every topology, the largest batch, the faults
steps.py        the training and evaluation steps of `train` and `evaluate`, traced for one core
pure_step.py    a traced step as a pure function of its variables' values
lowering.py     stage 1, a process of its own: the step -> HLO with TensorFlow's TPU kernels
compiling.py    stage 2, a process of its own: HLO -> TPU executable with libtpu
environment.py  the virtual environment that both run in
hlo.py          reads an HLO module: instructions, arithmetic
lint.py         what the compiler accepts and hardware regrets: float64, dynamic shapes, ...
cases.py        what is executed: precision x replicas x maps, and made-up batches
execution.py    `--execute`: each case run and compared, the verdict
reference.py    TensorFlow's own steps on a CPU, a process of its own
executing.py    the HLO on a CPU by JAX, a process of its own
distances.py    variables of two programs apart, as a share of the update, and the yardsticks
replica_values.py  arrays by name and replica, in files
verdicts.py     a step through both stages; verdicts are kept by the hash of what was compiled
summary.py      what the chips have, the floor that FLOPs and bytes imply, the table
"""
