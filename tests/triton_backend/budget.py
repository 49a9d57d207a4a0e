"""Hold the kernels' machine code to a budget: registers, shared memory, no spills, 128-bit accesses.

Run as ``python tests/triton_backend/budget.py [--quick] [--write]``: compiles the cases for sm_80, sm_90 and sm_100 (no
GPU needed) and compares with ``budget.json``, or writes it anew. TRITON_INTERPRET must not be set.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

BUDGET = Path(__file__).parent / "budget.json"
# Another release of ptxas may allocate registers a little differently; this many move no occupancy limit far.
REGISTER_SLACK = 8


def measure(cases: list[str]) -> dict[str, dict[str, dict[str, int]]]:
    """``{case: {"1 kernel sm_90": figures}}``, kernels numbered in the order of their launches."""
    from ahead_of_time import ARCHITECTURES, figures, launches_of
    from budget_cases import CASES

    measured = {}
    for case in cases:
        measured[case] = {
            f"{number} {launch.name} sm_{architecture}": figures(launch, architecture)
            for number, launch in enumerate(launches_of(CASES[case]), start=1)
            for architecture in ARCHITECTURES
        }
    return measured


def regressions(measured: dict, budget: dict) -> list[str]:
    """What is worse than the budget, one line each."""
    worse = []
    for case, kernels in measured.items():
        if kernels.keys() != budget.get(case, {}).keys():
            worse.append(f"{case}: kernels {sorted(kernels)}, budget has {sorted(budget.get(case, {}))}")
            continue
        for kernel, found in kernels.items():
            allowed = budget[case][kernel]
            if found["spilled"]:
                worse.append(f"{case}, {kernel}: {found['spilled']} bytes and instructions spilled")
            if found["registers"] > allowed["registers"] + REGISTER_SLACK:
                worse.append(f"{case}, {kernel}: registers {found['registers']}, budget {allowed['registers']}")
            for figure in ("shared_bytes", "loads_narrow", "stores_narrow"):
                if found[figure] > allowed[figure]:
                    worse.append(f"{case}, {kernel}: {figure} {found[figure]}, budget {allowed[figure]}")
            for figure in ("loads_128_bit", "stores_128_bit"):
                if found[figure] < allowed[figure]:
                    worse.append(f"{case}, {kernel}: {figure} {found[figure]}, budget {allowed[figure]}")
    return worse


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the few cases of the default test run")
    parser.add_argument("--write", action="store_true", help="write budget.json anew")
    options = parser.parse_args()
    if os.environ.get("TRITON_INTERPRET", "0") == "1":
        parser.error("TRITON_INTERPRET=1 is set: nothing would be compiled")
    from budget_cases import CASES, QUICK

    measured = measure(list(QUICK if options.quick else CASES))
    if options.write:
        BUDGET.write_text(json.dumps(measured, indent=1) + "\n")
        return 0
    worse = regressions(measured, json.loads(BUDGET.read_text()))
    print("\n".join(worse) or f"{sum(map(len, measured.values()))} compiled kernels within budget")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
