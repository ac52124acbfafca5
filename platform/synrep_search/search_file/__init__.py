"""What a search is: the file, its schema, the space, overrides. See docs/guide/search.md."""

from synrep_search.search_file.changes import diff
from synrep_search.search_file.early_stopping import Asha, Median
from synrep_search.search_file.load import Overrides, SearchSource, load_spec
from synrep_search.search_file.model import SearchSpec
from synrep_search.search_file.samplers import (
    CmaEs,
    GaussianProcess,
    Grid,
    QuasiMonteCarlo,
    RandomSampler,
    Tpe,
)
from synrep_search.search_file.space.points import trial_config
from synrep_search.search_file.space.space import Space
from synrep_search.search_file.space.suggest import Replay

__all__ = [
    "Asha",
    "CmaEs",
    "GaussianProcess",
    "Grid",
    "Median",
    "Overrides",
    "QuasiMonteCarlo",
    "RandomSampler",
    "Replay",
    "SearchSource",
    "SearchSpec",
    "Space",
    "Tpe",
    "diff",
    "load_spec",
    "trial_config",
]
