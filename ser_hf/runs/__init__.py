"""Arguments and data of a run, and the files that it writes."""
