"""What all commands of this package share: how they start, and how they fail."""

import sys
from collections.abc import Callable

from absl import app, flags, logging


def run(main: Callable[[], None], errors: tuple[type[Exception], ...] = (ValueError,)) -> None:
    """Parses the flags and calls `main`. What the user can mend ends in one line, not a traceback.

    Args:
        main: takes nothing; reads `flags.FLAGS`.
        errors: whose messages are written for users; `--verbosity=1` shows their tracebacks too.
    """

    def start(arguments):
        if len(arguments) > 1:
            raise app.UsageError(f"unexpected arguments: {' '.join(arguments[1:])}")
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # TensorFlow logs through absl, too
        try:
            main()
        except errors as error:
            logging.debug("the error below comes from here", exc_info=True)
            sys.exit(f"error: {error}")

    app.run(start)
