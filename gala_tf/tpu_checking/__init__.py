"""From a traced step to a verdict of the TPU compiler.

steps.py        the steps that `train` and `evaluate` run, traced for one core
one_core.py     the strategy they are traced in: one of n TPU cores
pure_step.py    a traced step as a pure function of its variables' values
lowering.py     stage 1, a process of its own: the step -> HLO with TensorFlow's TPU kernels
compiling.py    stage 2, a process of its own: HLO -> TPU executable with libtpu
environment.py  the virtual environment that both run in
hlo.py          reads an HLO module: instructions, arithmetic
lint.py         what the compiler accepts and hardware regrets: float64, dynamic shapes, ...
verdicts.py     one step through both stages
cache.py        verdicts, kept by the hash of what was compiled
chips.py        what the chips have
summary.py      the floor that FLOPs and bytes imply, the verdict, the table
defects.py      faults to plant, so that everyone can see them caught
"""
