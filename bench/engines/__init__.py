"""The same small workflows on each engine that `bench/workflow.py` measures; a class with a method for each case.

An engine whose class lacks a method is not measured in that case.
"""
