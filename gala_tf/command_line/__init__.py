"""What `gala_tf.command` is made of: nothing here knows a command or a flag of its own.

help_page.py     the text of --help, from a docstring and the declared flags
flagfiles.py     --flagfile, nested relative to the file that names it
installation.py  which TensorFlow is installed
quiet.py         TensorFlow's start without its messages
"""
