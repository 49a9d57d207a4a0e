"""`pytest benchmarks/reparameterize_kl --benchmark-only`."""

from benchmarks.suite import op_suite

test_reparameterize_kl = op_suite("reparameterize_kl")
