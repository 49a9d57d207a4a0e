"""The contract that every operator keeps on every backend: one table of cases, and the tests that walk it."""
