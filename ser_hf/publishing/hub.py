"""The push: the publishable files of an output folder, in one commit."""

from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

# What makes the repository. predictions.csv names speakers and, like optimizer states, stays at home.
ALLOWLIST = (
    "README.md",
    "all_results.json",
    "config.json",
    "configuration_mel.py",
    "figures/*.png",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "modeling_mel.py",
    "preprocessor_config.json",
    "recipe.yaml",
)


def publishable_files(folder: str | Path) -> list[Path]:
    """Return the files of an output folder that a push uploads, sorted.

    Raises:
        FileNotFoundError: If the folder holds no finished run.
    """
    folder = Path(folder)
    files = sorted(path for pattern in ALLOWLIST for path in folder.glob(pattern))
    missing = {"README.md", "all_results.json", "config.json", "preprocessor_config.json"} - {
        path.name for path in files
    }
    if not any(path.suffix == ".safetensors" for path in files):
        missing.add("model.safetensors")
    if missing:
        raise FileNotFoundError(f"'{folder}' is no finished run: expected {sorted(missing)} too.")
    return files


def push_to_hub(folder: str | Path, repo_id: str, *, private: bool = True, token: str | None = None) -> str:
    """Create the repository if needed and upload the publishable files in one commit.

    Args:
        folder: Output folder of a finished run.
        repo_id: "user/name".
        private: Whether a newly created repository is private.
        token: None takes the one of `hf auth login`.

    Returns:
        The commit's address.

    Raises:
        FileNotFoundError: As `publishable_files`.
        huggingface_hub.errors.HfHubHTTPError: If the Hub refuses.
    """
    files = publishable_files(folder)
    api = HfApi(token=token)
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    operations = [
        CommitOperationAdd(path_in_repo=path.relative_to(folder).as_posix(), path_or_fileobj=path) for path in files
    ]
    return api.create_commit(repo_id, operations, commit_message="Upload by ser_hf").commit_url
