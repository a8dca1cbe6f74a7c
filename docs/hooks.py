"""Show documents from outside of docs/guide in the guide, and run the examples of the gallery for their pictures.

The links to these documents and to their headings are then checked.
"""

import re
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
GALLERY = ROOT / "docs" / "guide" / "gallery.md"
DOCUMENTS = ("CONTRIBUTING.md", "recipes/README.md", "recipes/figures/*.png")


def on_files(files: Files, *, config) -> Files:
    """Add the documents under their paths below the root of the repository."""
    for pattern in DOCUMENTS:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    for name, picture in draw_gallery().items():
        files.append(File.generated(config, name, content=picture))
    return files


def draw_gallery() -> dict[str, bytes]:
    """Run the code of the gallery from top to bottom, and return the pictures that it writes."""
    code = "\n".join(
        re.findall(r"^```python\n(.*?)^```$", GALLERY.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    )
    with TemporaryDirectory() as folder, chdir(folder), redirect_stdout(StringIO()):
        exec(compile(code, GALLERY, "exec"), {})
        return {path.name: path.read_bytes() for path in Path(folder).glob("*.png")}


def on_page_markdown(markdown: str, **_) -> str:
    """Resolve links such as ../../recipes/README.md, which are right where the pages are in the repository."""
    return markdown.replace("](../../", "](")
