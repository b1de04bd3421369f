"""The energy trace and DRAM commands in formats that other programs read."""
