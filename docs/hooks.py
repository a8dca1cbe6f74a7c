"""Show documents from outside of docs/guide in the guide, so that links to them and to their headings are checked."""

from pathlib import Path

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("CONTRIBUTING.md", "recipes/README.md", "recipes/figures/*.png")


def on_files(files: Files, *, config) -> Files:
    """Add the documents under their paths below the root of the repository."""
    for pattern in DOCUMENTS:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_) -> str:
    """Resolve links such as ../../recipes/README.md, which are right where the pages are in the repository."""
    return markdown.replace("](../../", "](")
