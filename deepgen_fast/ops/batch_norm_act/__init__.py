"""Batch normalization and the activation after it: statistics, then one pass; two passes backward."""
