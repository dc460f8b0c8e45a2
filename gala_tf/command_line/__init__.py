"""What `gala_tf.command` is made of: nothing here knows a command or a flag of its own.

parsing.py       a command line, its paths as users write them; or help, or a mistake in one line
help_page.py     the text of --help, from a docstring and the declared flags
flagfiles.py     --flagfile, nested relative to the file that names it
first_moments.py Ctrl-C before a command has begun
endings.py       how a command ends that cannot go on, or was asked to end: in one line
installation.py  which TensorFlow is installed
kernels.py       which of its kernels it uses on a CPU
quiet.py         TensorFlow's start without its messages
"""
