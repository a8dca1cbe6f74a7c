from .answers import write_answers as write_answers
from .card import render_card as render_card
from .examples import write_examples as write_examples
from .upload import publish as publish
from .upload import publishable_files as publishable_files
