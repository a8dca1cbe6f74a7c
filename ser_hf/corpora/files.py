"""Where the audio files of a corpus lie."""

import os
from pathlib import Path

# libsndfile reads the first row; the second is listed as unreadable, with the way out, rather than overlooked.
AUDIO_EXTENSIONS = {
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64",
    ".m4a", ".mp4", ".aac", ".wma", ".webm", ".amr",
}  # fmt: skip


def audio_files(root: str | os.PathLike) -> list[str]:
    """List the audio files at any depth under `root`, sorted; hidden files and folders are left out.

    Raises:
        FileNotFoundError: If `root` is not a folder.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"data_root '{root}' is not a folder: expected the folder of the corpus.")
    return sorted(
        str(Path(folder, name))
        for folder, _, names in os.walk(root)
        for name in names
        if Path(name).suffix.lower() in AUDIO_EXTENSIONS
        and not any(part.startswith(".") for part in Path(folder, name).relative_to(root).parts)
    )
