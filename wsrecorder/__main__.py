"""``python -m wsrecorder`` is ``wsrec``."""

import sys

from wsrecorder.cli import main

if __name__ == "__main__":
    sys.exit(main())
