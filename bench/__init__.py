"""Ours, the floors and the peers, side by side in one run. Ratios of medians are what counts: machines are noisy."""
