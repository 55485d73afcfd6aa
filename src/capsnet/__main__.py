"""`python -m capsnet`: list the commands, the experiments and the hours that they take here."""

import sys

from capsnet import usage
from capsnet.errors import UserError, exit_on_user_error


def main() -> None:
    """Print the guide. Anything but a request for help is a mistake."""
    with exit_on_user_error():
        if others := [word for word in sys.argv[1:] if word not in usage.HELP]:
            commands = ", ".join(usage.COMMANDS)
            raise UserError(
                f"`python -m capsnet {others[0]}` does not exist: "
                f"run `python -m capsnet.COMMAND`, where COMMAND is one of {commands}"
            )
        print(usage.text(), end="")


if __name__ == "__main__":
    main()
