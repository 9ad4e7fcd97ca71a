"""Objectives with their gradients, and what goes into them."""
