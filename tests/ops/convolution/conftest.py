"""The backends under test, each on its own device: as for the contract."""

from contract.conftest import backend, device

__all__ = ["backend", "device"]
