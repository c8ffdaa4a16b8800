"""Autoscaling laws on a simulated plant: ours and five others on the same traces, scored by what they cost."""
