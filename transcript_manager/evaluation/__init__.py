"""How good the merge is: simulated streams with known truth, metrics, baselines."""
