"""Publish an output folder: check it, and upload its publishable files in one commit."""

import fnmatch
import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelCard
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff, validate_repo_id

from ser_hf.data.audio import read_header
from ser_hf.escaping import markdown
from ser_hf.foreign_files import check_file, parse_yaml, read_text, read_yaml
from ser_hf.heads.head_files import hide_encoder_folder
from ser_hf.heads.voice_files import VOICE
from ser_hf.publishing import retry
from ser_hf.publishing.anonymity import hide_speakers
from ser_hf.publishing.gate import describe_checks, require, run_gate
from ser_hf.runs.file_names import ADAPTER, RECIPE, RESULTS, TRAINING_SPEECH
from ser_hf.runs.results import parse_results, print_results
from ser_hf.runs.weights import weights_of

logger = logging.getLogger(__name__)

# The files that are uploaded. predictions.csv is not, because it contains names of speakers.
ALLOWLIST = (
    "README.md",
    RESULTS,
    f"{ADAPTER}/adapter_config.json",
    f"{ADAPTER}/adapter_model.safetensors",
    "answers.json",
    "config.json",
    "configuration_mel.py",
    "examples/*.flac",
    "examples/*.wav",
    "figures/*.png",
    "head.json",
    "head.skops",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "modeling_mel.py",
    "onnx/export.json",
    "onnx/model.onnx",
    "onnx/model_quantized.onnx",
    "preprocessor_config.json",
    RECIPE,
    TRAINING_SPEECH,
    VOICE,
)
RUN = {"README.md", RESULTS, RECIPE}
MODEL, PROBE = {"config.json", "preprocessor_config.json"}, {"head.json", "head.skops"}
MODELS = ("config.json", "head.skops", "*.safetensors", "*.bin")
# Licences that are unknown, written by the owners of a corpus, or without derivatives: a person has to check the terms
# first.
CLOSED_LICENCES = ("", "unknown", "proprietary", "other", "cc-by-nd-4.0", "cc-by-nc-nd-4.0")


def publish(
    folder: str | Path,
    repo_id: str,
    *,
    public: bool = False,
    token: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    examples: Sequence[str | Path] = (),
) -> str:
    """Run the gate on the output folder of a finished run, and upload it to the Hub.

    The results of the checks are logged. The uploaded model card names the repository; the card in the folder is not
    changed.

    Args:
        folder: Output folder of `finetune` or `probe`.
        repo_id: "user/name"; created if it does not exist.
        public: Make a new repository public.
        token: Access token; None for the one of `hf auth login`.
        overwrite: Replace the model of another recipe.
        dry_run: Do not connect to the Hub.
        examples: WAV or FLAC files for the widget on the Hub; upload a voice only with the speaker's consent.

    Returns:
        The address of the commit; for a dry run, the files that would be uploaded, with their sizes in bytes.

    Raises:
        FileNotFoundError: If the folder is not a finished run, or an example does not exist.
        ValueError: If `repo_id` has no user, a check of the gate fails, an example is not a WAV or FLAC file, or a
            public push has no open licence; or for the reasons of `push`.
        OSError: For the reasons of `retry.call_with_retries`.
    """
    if repo_id.count("/") != 1:
        raise ValueError(f"Expected a repository 'user/name', found '{repo_id}'.")
    validate_repo_id(repo_id)
    checks = run_gate(folder)
    require(checks)
    logger.info(describe_checks(checks))
    files = collect_files(folder, repo_id, examples)
    if public:
        check_licence(folder)
    if dry_run:
        sizes = {name: len(file) if isinstance(file, bytes) else file.stat().st_size for name, file in files.items()}
        lines = [f"{size:13,}  {name}" for name, size in sizes.items()]
        return "\n".join(["Nothing was uploaded. The files would be (bytes):", *lines])
    return push(files, repo_id, public=public, token=token, overwrite=overwrite)


def publishable_files(folder: str | Path) -> list[Path]:
    """Return the files of an output folder that are uploaded, sorted.

    Raises:
        FileNotFoundError: If the folder is not a finished run.
        ValueError: If one of these files is no regular file in the folder.
    """
    folder = Path(folder)
    files = sorted(check_file(path, folder) for pattern in ALLOWLIST for path in folder.glob(pattern))
    names = {path.name for path in files}
    missing = (RUN | (PROBE if names & PROBE else MODEL)) - names
    if not names & PROBE and not weights_of(folder):
        missing.add("model.safetensors")
    if missing:
        raise FileNotFoundError(f"'{folder}' is not a finished run: {sorted(missing)} are missing.")
    return files


def collect_files(folder: str | Path, repo_id: str, examples: Sequence[str | Path] = ()) -> dict[str, Path | bytes]:
    """Return the files to upload, by their paths in the repository.

    The repository and the examples are written into the model card, and names of speakers are removed from the results.

    Args:
        folder: Output folder of a finished run.
        repo_id: "user/name".
        examples: WAV or FLAC files.

    Raises:
        FileNotFoundError: If the folder is not a finished run, or an example does not exist.
        ValueError: If an example is not a WAV or FLAC file, or two have the same name.
    """
    files = {path.relative_to(folder).as_posix(): path for path in publishable_files(folder)}
    for path in map(Path, examples):
        if not path.is_file():
            raise FileNotFoundError(f"The example '{path}' does not exist: expected a .wav or .flac file.")
        name = f"examples/{path.stem}{path.suffix.lower()}"
        if not _matches(name, ALLOWLIST) or read_header(path).encoding.split()[0] not in ("WAV", "WAVEX", "FLAC"):
            raise ValueError(f"Expected examples as .wav or .flac files, found '{path}'.")
        if name in files:
            raise ValueError(f"Expected examples with different names, found '{name}' twice. Rename one.")
        files[name] = path
    card = ModelCard.load(files["README.md"])
    _name_repository(card, repo_id)
    if names := sorted(name for name in files if name.startswith("examples/")):
        others = [example for example in card.data.get("widget") or [] if example.get("src") not in names]
        added = [{"example_title": Path(name).stem.replace("_", " "), "src": name} for name in names]
        card.data.widget = others + added
    results = parse_results(read_text(files[RESULTS]))
    rewritten = {"README.md": str(card).encode(), RESULTS: print_results(hide_speakers(results)).encode()}
    if "head.json" in files:
        rewritten["head.json"] = hide_encoder_folder(files["head.json"])
    return files | rewritten


def _name_repository(card: ModelCard, repo_id: str) -> None:
    """Write the repository into the title, metadata and example of a card; the rest of the text is kept."""
    name = repo_id.split("/")[-1]
    former = card.data.model_name  # type: ignore[attr-defined]
    text = card.text.replace(f"# {markdown(str(former))}\n", f"# {name}\n", 1)
    spelled = re.escape(json.dumps(str(former), ensure_ascii=False)[1:-1])  # as in Python
    card.text = re.sub(rf'model="(?:[\w.-]+/)?{spelled}"', f'model="{repo_id}"', text)
    card.data.model_name = name  # type: ignore[attr-defined]


def check_licence(folder: str | Path) -> None:
    """Check that the licence in the model card allows a public repository.

    Raises:
        ValueError: If the card has no licence, or one whose terms a person has to check first.
    """
    licence = ModelCard.load(Path(folder, "README.md")).data.get("license")
    if not isinstance(licence, str) or licence.strip().casefold() in CLOSED_LICENCES:
        raise ValueError(
            f"Expected an open licence for a public repository, found {licence!r} in the model card. Read the licences "
            "of the corpus and of the base model, or ask their owners; if they allow it, write `license: …` into the "
            "metadata of README.md. A private repository needs no licence."
        )


def push(
    files: dict[str, Path | bytes],
    repo_id: str,
    *,
    public: bool = False,
    token: str | None = None,
    overwrite: bool = False,
) -> str:
    """Upload files in one commit; the repository is created if it does not exist.

    Publishable files of an earlier push that are not in `files` are deleted; all other files in the repository are
    kept.

    Args:
        files: Files by their paths in the repository, including recipe.yaml.
        repo_id: "user/name".
        public: Make a new repository public; the visibility of an existing one is not changed.
        token: Access token; None for the one of `hf auth login`.
        overwrite: Replace the model of another recipe.

    Returns:
        The address of the commit.

    Raises:
        ValueError: If the repository has a model of another recipe, or is public although `public` is false.
        OSError: For the reasons of `retry.call_with_retries`.
    """
    api = HfApi(token=token)

    def attempt() -> str:
        # Each attempt reads the state of the repository again, so it is idempotent: if the response to a successful
        # commit was lost, the next attempt has no changes to upload.
        address = api.create_repo(repo_id, private=not public, exist_ok=True)
        info = api.model_info(address.repo_id, timeout=retry.TIMEOUT)  # the default None has no limit
        held = {sibling.rfilename for sibling in info.siblings}  # type: ignore[union-attr]
        check_visibility(repo_id, private=info.private, public=public)
        if not overwrite:
            recipe = Path(files[RECIPE])  # type: ignore[arg-type]
            _check_model(repo_id, held, recipe, f"{address}/resolve/{info.sha}/recipe.yaml", token)
        stale = [name for name in sorted(held - files.keys()) if _matches(name, ALLOWLIST)]
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationAdd(name, file) for name, file in files.items()),
            *(CommitOperationDelete(name, is_folder=False) for name in stale),
        ]
        message = "Upload by ser_hf"
        return api.create_commit(address.repo_id, operations, commit_message=message, parent_commit=info.sha).commit_url

    return retry.call_with_retries(attempt, repo_id)


def check_visibility(repo_id: str, *, private: bool | None, public: bool) -> None:
    """Check that a repository is not public if a private one is expected.

    Raises:
        ValueError: If it is.
    """
    if not private and not public:
        raise ValueError(
            f"'{repo_id}' is public: expected a private repository. Pass another one, make it private in its settings, "
            "or publish with --public."
        )
    if private and public:
        logger.warning(f"'{repo_id}' already exists and stays private: make it public in its settings.")


def _check_model(repo_id: str, held: set[str], recipe: Path, address: str, token: str | None) -> None:
    """Raise an error if the repository has a model of another recipe; the number of epochs may differ."""
    way_out = "Pass another repository, or publish with --overwrite to replace that model."
    if RECIPE not in held:
        if models := [name for name in sorted(held) if _matches(name, MODELS)]:
            raise ValueError(f"'{repo_id}' has a model that was not made with ser_hf ({', '.join(models)}). {way_out}")
        return
    here = read_yaml(recipe)
    text = download_text(address, token)
    try:
        there = parse_yaml(text)
    except ValueError:
        there = None
    if not isinstance(there, dict):
        raise ValueError(f"'{repo_id}' has a recipe.yaml that was not made with ser_hf. {way_out}")
    differences = [
        f"{key}: {there.get(key)} there, {here.get(key)} here"
        for key in sorted(there.keys() | here.keys())
        if key != "num_train_epochs" and there.get(key) != here.get(key)
    ]
    if differences:
        raise ValueError(f"'{repo_id}' has a model of another recipe ({'; '.join(differences)}). {way_out}")


def download_text(address: str, token: str | None) -> str:
    """Return the text of a file on the Hub.

    Args:
        address: URL of the file.
        token: Access token; None for the one of `hf auth login`.

    Raises:
        httpx2.HTTPError: If it cannot be read.
    """
    response = http_backoff("GET", address, headers=build_hf_headers(token=token))
    hf_raise_for_status(response)
    return response.text


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
