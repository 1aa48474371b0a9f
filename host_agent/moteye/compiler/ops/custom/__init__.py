"""Custom operators (`customCode`), one file each; kinds from 64 on.

A file names its codes in `LOWERS = {"Code": lower}`; its kernel is a model_operator_t in a file of
device/kernels and a line in operators.toml. A build links it where its list of operators names it.
"""
