"""Backbones and settings compared: chosen on the validation split, over several seeds, tested once at the end."""
