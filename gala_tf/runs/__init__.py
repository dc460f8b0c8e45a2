"""What a run leaves on disk.

directory.py    flags, environment, and what tells two runs apart
checkpoints.py  checkpoints that are either whole or not there
events.py       TensorBoard files, cut back where a run resumes
logs.py         metrics.jsonl, TensorBoard, one line of progress
"""
