"""`python -m synrep.cli` is `synrep`."""

from synrep.cli import main

main()
