"""Devices, number formats, processes and signals."""
