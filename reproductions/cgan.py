"""Conditional GAN (Mirza, Osindero 2014): digits of the class that is asked for, by the command's own defaults.

    python -m reproductions.cgan

``class_agreement`` says how a classifier of real digits judges them.
"""

from __future__ import annotations

from reproductions import class_agreement
from reproductions.acceptance import Options, accept


def measure(options: Options) -> dict[str, float]:
    return class_agreement.measure("cgan", options)


if __name__ == "__main__":
    title, command = "Conditional GAN (Mirza, Osindero 2014)", "deepgen-fast train cgan"
    accept("cgan", title, class_agreement.claims(0.9), measure, command=command)
