"""Real servers on loopback, for tests and for scripts that disturb them.

Each is a context manager that starts it and leaves no process behind; `kill` ends it without a
warning, `start` brings it back on the same port and data. Import them as `tests.services`: pytest
finds that, and so does a script with the repository's root on `PYTHONPATH`. (`tests` itself must
not come before the root there: its folders would hide the packages that they test.)
"""

from .cluster import RayCluster
from .mlflow import MlflowServer
from .objects import ObjectStore
from .postgres import Postgres
from .process import Server, free_port
from .proxy import Proxy

__all__ = [
    "MlflowServer",
    "ObjectStore",
    "Postgres",
    "Proxy",
    "RayCluster",
    "Server",
    "free_port",
]
