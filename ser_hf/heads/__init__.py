"""From waveforms to fixed-size vectors, and scikit-learn classification heads on these vectors."""
