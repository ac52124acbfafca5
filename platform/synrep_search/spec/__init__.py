"""What a search is: the file, its schema, the space, overrides. See docs/search-spaces.md."""

from synrep_search.spec.changes import diff
from synrep_search.spec.load import load_spec
from synrep_search.spec.model import Asha, RandomSampler, SearchSpec, Tpe
from synrep_search.spec.points import trial_config
from synrep_search.spec.space import Space
from synrep_search.spec.suggest import Replay

__all__ = [
    "Asha",
    "RandomSampler",
    "Replay",
    "SearchSpec",
    "Space",
    "Tpe",
    "diff",
    "load_spec",
    "trial_config",
]
