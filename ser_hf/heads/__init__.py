"""Waveforms -> vectors -> scikit-learn heads."""
