"""`python -m apifrom`: the same as the command `apifrom`."""

import sys

from apifrom.cli import main

sys.exit(main())
