"""How good the merge is (simulated streams, metrics, baselines), and how well texts agree."""
