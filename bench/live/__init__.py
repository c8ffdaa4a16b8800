"""stress-ng on a live watcher: the same policy and load as on the simulated plant must give the same verdicts."""
