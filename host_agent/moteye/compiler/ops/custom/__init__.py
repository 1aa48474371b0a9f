"""Custom operators (`customCode`), one file each; kinds from `record.CUSTOM` on.

A file names its codes in `LOWERS = {"Code": lower}`; its kernel is a model_operator_t in a file of
device/kernels and a line in model_operators.c.
"""
