"""`python -m synrep_search.cli` is `synrep-search`."""

from synrep_search.cli import main

main()
