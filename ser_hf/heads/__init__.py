"""Fixed-size vectors of waveforms, and scikit-learn classification heads on these vectors."""
