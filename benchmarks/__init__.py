"""Speed and memory of the operators and of training, against eager PyTorch, torch.compile and pythae.

One folder an operator, named as in ``deepgen_fast/ops``; its ``setup.py`` feeds pytest-benchmark, the report and
the memory figures alike. ``python -m benchmarks.report`` writes ``RESULTS.md``; see ``README.md``.
"""
