"""The commands of data_prep: from raw images and clicks to verified shards."""

from gala_tf import command

# In the order of use.
COMMANDS = ("clickme_game", "psychophysics", "studies", "build_tfrecords", "verify", "reliability")

if __name__ == "__main__":
    command.list_commands("data_prep", COMMANDS)
