"""Measures DataBlock beside other ways of passing messages between two processes."""
