"""Define the names of the files in the output folder of a run."""

PREDICTIONS, RESULTS, FIGURES = "predictions.csv", "all_results.json", "figures"
AUXILIARY = "auxiliary"
RECIPE, CARD, PRETRAINING = "recipe.yaml", "README.md", "pretraining.json"
PROBLEMS, AUDIT = "audio_problems.csv", "audit.json"
DATA_DIGEST, LOCK = "data.sha256", ".lock"
TRAINING_SPEECH = "training_speech.json"
CONDITIONS_FIGURE = "conditions.png"
ADAPTER = "adapter"  # folder of the adapter alone
