"""`pytest benchmarks/negative_elbo --benchmark-only`."""

from benchmarks.suite import op_suite

test_negative_elbo = op_suite("negative_elbo")
