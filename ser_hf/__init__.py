"""Fine-tune, honestly measure and publish speech emotion recognisers with the Hugging Face Trainer.

The names of this package are imported when they are first used: ``import ser_hf`` does not wait for torch.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
