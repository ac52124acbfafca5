"""Run `synrep-search` as `python -m synrep_search.cli`."""

from synrep_search.cli import main

main()
