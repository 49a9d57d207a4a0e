"""A discriminator trained on samples of two known densities, beside the optimum that section 13.3.4 derives.

    python examples/optimal_discriminator.py                        # writes optimal_discriminator.png
    python examples/optimal_discriminator.py --out runs/figure.png --steps 3000 --seed 1

The model has dropped one of the data's three modes and blurred another: D* shows where, and the minimax value how far
the densities are apart (equation 13.40). The generator is held fixed; what is trained is D alone, as in the inner loop
of Algorithm 13.1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from deepgen_fast import analysis
from deepgen_fast.data import GaussianMixture

DATA = GaussianMixture([-3.0, 0.0, 3.0], [0.5, 0.4, 0.6])
MODEL = GaussianMixture([-2.8, 0.4], [0.7, 1.2], [2.0, 3.0])


def main(arguments: list[str] | None = None) -> analysis.JSEstimate:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("optimal_discriminator.png"))
    parser.add_argument("--steps", type=int, default=1500, help="updates of the discriminator")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    curves = [step for step in (0, 10, 30, 100, 300, 1000) if step < options.steps] + [options.steps]
    trace = analysis.DiscriminatorTrace(DATA, MODEL, curves)
    estimate = analysis.estimate_js_divergence(
        DATA, MODEL, num_steps=options.steps, seed=options.seed, on_step=trace.record
    )
    truth = analysis.js_divergence(DATA, MODEL)
    print(f"JS(data || model), by quadrature         {truth:.4f} nats")
    print(f"JS from the trained discriminator        {estimate.value:.4f} +- {estimate.standard_error:.4f} nats")
    print(f"minimax value at D*, 2 JS - 2 log 2      {analysis.minimax_value_at_optimum(truth):.4f} nats")
    print(analysis.draw_discriminator_trace(trace, options.out))
    return estimate


if __name__ == "__main__":
    main()
