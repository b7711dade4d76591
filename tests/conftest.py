"""Puts this folder on the import path: tests of every package share factory.py."""
