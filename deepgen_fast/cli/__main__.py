"""`python -m deepgen_fast.cli`: the command without its console script."""

from deepgen_fast.cli import main

main()
