"""`python -m portrait_head` is the command `portrait-head`."""

import sys

from portrait_head.cli import main

if __name__ == "__main__":
    sys.exit(main())
