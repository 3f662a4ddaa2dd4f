"""Mimeo's engine: data, training, labelling, scoring and tables, as plain functions of arrays and files.

The package knows no workflow manager, reads no configuration file and builds no path: stage scripts hand it
everything. Modules are imported one by one, so that a table is drawn without importing torch.
"""
