"""`pytest benchmarks/bernoulli_log_likelihood --benchmark-only`."""

from benchmarks.suite import op_suite

test_bernoulli_log_likelihood = op_suite("bernoulli_log_likelihood")
