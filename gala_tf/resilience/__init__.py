"""What can go wrong outside of the program.

interruption  signals and the notice of preemption: save, then end
full_disk     writing where there may be no room for a while
stall         steps that do not end
"""
