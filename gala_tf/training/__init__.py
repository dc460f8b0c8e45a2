"""Training: the loop, what it computes with, and what stands around it.

loop          batch, step, log, save, validate
run, resume   what a run consists of, and where it stands
checks        what is refused before anything costly
plan          how long a run is: when it validates and saves
session       network, optimizer, compiled steps, and the batches that feed them
step          one step: Eq. 1, gradients, update; `step_vector` is what it reports
lean_forward  its forward pass, with chains of layers as one that keeps less for the gradients
guards        signals, stalls, full disks and other machines, around the loop
outlook       what is said while nothing moves: compiling, the time that is left
fine_tuning   --init_from, --freeze, --new_layers_rate
collapse      attention that learns nothing more, said and logged
skipping      --on_bad_record=skip, around that
non_finite    whether data or optimisation are at fault, and where it began
optimizers, schedules, profiling
"""
