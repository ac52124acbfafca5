"""Where trials run: a worker process, the trials in it, and Ray as one way to start workers."""
