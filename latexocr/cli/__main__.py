"""`python -m latexocr.cli`: the command line where another package owns the name `latexocr`."""

import sys

from latexocr.cli import main

sys.exit(main())
