from .merging import merge_parts as merge_parts
from .planning import plan as plan
from .running import run as run
from .verification import verify as verify
