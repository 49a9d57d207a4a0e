"""Every fault that ``make mutants`` plants, by the part of the library it is in."""

from mutants.fault import Fault
from mutants.faults import cpu, cuda, library, networks, operators, training, triton

FAULTS: tuple[Fault, ...] = (
    *operators.FAULTS,
    *networks.FAULTS,
    *library.FAULTS,
    *training.FAULTS,
    *cpu.FAULTS,
    *triton.FAULTS,
    *cuda.FAULTS,
)
