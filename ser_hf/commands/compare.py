"""Define `ser-hf compare`: finished runs side by side."""

import argparse
from pathlib import Path

from ser_hf.escaping import show
from ser_hf.terminal import ParagraphFormatter


def compare_command(argv: list[str], *, prog: str = "ser-hf compare", description: str | None = None) -> None:
    """Compare finished runs: a table of their scores, paired differences to the first run, and a figure."""
    options = _read_options(argv, prog, description or compare_command.__doc__)
    from ser_hf.scoring.condition_comparison import compare_conditions, has_conditions, tabulate_comparison
    from ser_hf.scoring.run_table import draw_runs, read_runs, tabulate_differences, tabulate_runs

    runs = read_runs(options.folders, options.predictions)
    show(tabulate_runs(runs))
    if len(runs) + len(options.predictions) > 1:
        show("", tabulate_differences(runs, options.predictions))
    first, *others = runs
    for other in others:
        if has_conditions(first.folder) and has_conditions(other.folder):
            compared = compare_conditions(first.folder, other.folder)
            show("", tabulate_comparison(compared, first.name, other.name))
    if options.output:
        draw_runs(runs, options.output, options.titles)
        show(f"Figure: {options.output}")


def _read_options(argv: list[str], prog: str, description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog, None, description, formatter_class=ParagraphFormatter)
    parser.add_argument("folders", nargs="+", help="output folders of recipes or of ser-hf evaluate")
    parser.add_argument("--predictions", nargs="+", default=[], metavar="CSV", help="tables of other predictions")
    parser.add_argument("--output", help="PNG file to draw")
    parser.add_argument(
        "--titles", nargs="+", default=[], help="titles of the runs in the figure; default: from their recipes"
    )
    options = parser.parse_args(argv)
    if options.titles and not options.output:
        parser.error("titles needs --output.")
    if options.titles and len(options.titles) != len(options.folders):
        found = len(options.titles)
        parser.error(f"titles: expected one for each of {len(options.folders)} folders, found {found}.")
    if options.output and Path(options.output).suffix != ".png":
        parser.error(f"output: expected a file with the extension .png, found '{options.output}'.")
    if options.output and not Path(options.output).absolute().parent.is_dir():
        parser.error(f"output: expected a file in an existing folder, found '{options.output}'.")
    return options
