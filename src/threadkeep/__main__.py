"""``python -m threadkeep``: the command line."""

from threadkeep.cli import main

if __name__ == "__main__":
    main()
