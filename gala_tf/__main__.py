"""The commands of gala_tf, from training to the paper's tables."""

from gala_tf import command

# In the order of use.
COMMANDS = (
    "train",
    "evaluate",
    "visualize",
    "predict",
    "export",
    "figures",
    "sweep",
    "report",
    "tpu_check",
)

if __name__ == "__main__":
    command.list_commands("gala_tf", COMMANDS)
