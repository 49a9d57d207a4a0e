"""`pytest benchmarks/gaussian_log_likelihood --benchmark-only`."""

from benchmarks.suite import op_suite

test_gaussian_log_likelihood = op_suite("gaussian_log_likelihood")
