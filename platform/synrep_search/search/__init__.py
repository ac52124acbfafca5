"""A search: what is tried next, when a trial is stopped, and the driver that runs it."""
