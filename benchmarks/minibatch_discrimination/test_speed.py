"""`pytest benchmarks/minibatch_discrimination --benchmark-only`."""

from benchmarks.suite import op_suite

test_minibatch_discrimination = op_suite("minibatch_discrimination")
