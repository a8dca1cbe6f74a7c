"""Call `ser-hf predict` in this process."""

from ser_hf.cli import main


def predict(model, output, *paths):
    return main(["predict", *map(str, paths), "--model", str(model), "--output", str(output)])
