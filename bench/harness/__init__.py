"""Starts the contenders, drives them, and prints what was seen."""
