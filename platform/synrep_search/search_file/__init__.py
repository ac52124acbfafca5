"""Search files: reading, schema, search space and overrides. See docs/guide/search.md."""

from synrep_search.search_file.changes import diff
from synrep_search.search_file.load import Overrides, SearchSource, load_spec
from synrep_search.search_file.model import SearchSpec
from synrep_search.search_file.space.points import trial_config
from synrep_search.search_file.space.space import Space
from synrep_search.search_file.space.suggest import Replay

__all__ = [
    "Overrides",
    "Replay",
    "SearchSource",
    "SearchSpec",
    "Space",
    "diff",
    "load_spec",
    "trial_config",
]
