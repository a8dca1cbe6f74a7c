"""Fine-tune, honestly measure and publish speech emotion recognisers with the Hugging Face Trainer."""

__version__ = "0.1.0"
