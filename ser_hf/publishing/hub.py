"""The push: the publishable files of an output folder, in one commit."""

import fnmatch
import logging
import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelCard
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff, validate_repo_id

from ser_hf.data.audio import read_header
from ser_hf.publishing import retry as connection
from ser_hf.publishing.anonymity import hide_speakers
from ser_hf.publishing.gate import describe_checks, require, run_gate
from ser_hf.runs.file_names import RECIPE, RESULTS
from ser_hf.runs.results import parse_results, print_results

logger = logging.getLogger(__name__)

# What makes the repository. predictions.csv names speakers and, like optimizer states, stays at home.
ALLOWLIST = (
    "README.md",
    RESULTS,
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
)
RUN = {"README.md", RESULTS, RECIPE}
MODEL, PROBE = {"config.json", "preprocessor_config.json"}, {"head.json", "head.skops"}
MODELS = ("config.json", "head.skops", "*.safetensors", "*.bin")
# Unknown; terms of the owners' own, or several at once; no derivatives: someone has to read them, or ask, first.
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
    """Send the output folder of a finished run through the gate, and on to the Hub.

    What the gate found is logged. The card that goes names the repository; the folder's own stays as it is.

    Args:
        folder: Output folder of `recipes/finetune.py` or `recipes/probe.py`.
        repo_id: "user/name"; created where it is missing.
        public: Whether a new repository is open to all.
        token: None takes the one of `hf auth login`.
        overwrite: Replace another recipe's model.
        dry_run: Send nothing and ask the Hub nothing.
        examples: WAV or FLAC files that the Hub's page offers to try; nobody's voice without their leave.

    Returns:
        The commit's address; of a dry run, what would go, with its size in bytes.

    Raises:
        FileNotFoundError: As `publishable_files`.
        ValueError: If `repo_id` has no user, a check of the gate fails, an example is no WAV or FLAC file, a public
            push has no open licence, or as `push`.
        OSError: As `connection.insist`.
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
        return "\n".join(f"{size:13,}  {name}" for name, size in sizes.items())
    return push(files, repo_id, public=public, token=token, overwrite=overwrite)


def publishable_files(folder: str | Path) -> list[Path]:
    """Return the files of an output folder that a push uploads, sorted.

    Raises:
        FileNotFoundError: If the folder holds no finished run.
        ValueError: If one of these files is a link to elsewhere.
    """
    folder = Path(folder)
    files = sorted(path for pattern in ALLOWLIST for path in folder.glob(pattern))
    if links := [str(path) for path in files if not path.resolve().is_relative_to(folder.resolve())]:
        raise ValueError(f"{', '.join(links)}: links to elsewhere, expected files of the folder's own. Copy them in.")
    names = {path.name for path in files}
    missing = (RUN | (PROBE if names & PROBE else MODEL)) - names
    if not names & PROBE and not any(path.suffix == ".safetensors" for path in files):
        missing.add("model.safetensors")
    if missing:
        raise FileNotFoundError(f"'{folder}' is no finished run: expected {sorted(missing)} too.")
    return files


def collect_files(folder: str | Path, repo_id: str, examples: Sequence[str | Path] = ()) -> dict[str, Path | bytes]:
    """Return what a push uploads, by its path in the repository; the card names that and the examples.

    The results go without the names of their speakers.

    Raises:
        FileNotFoundError: As `publishable_files`, or if an example is missing.
        ValueError: If an example is no WAV or FLAC file.
    """
    files = {path.relative_to(folder).as_posix(): path for path in publishable_files(folder)}
    for path in map(Path, examples):
        if not path.is_file():
            raise FileNotFoundError(f"No example '{path}'.")
        name = f"examples/{path.stem}{path.suffix.lower()}"
        if not _matches(name, ALLOWLIST) or read_header(path).encoding.split()[0] not in ("WAV", "WAVEX", "FLAC"):
            raise ValueError(f"Expected examples as .wav or .flac files, found '{path}'.")
        if name in files:
            raise ValueError(f"Two examples are named '{name}': expected names that differ.")
        files[name] = path
    card = ModelCard.load(files["README.md"])
    _name_repository(card, repo_id)
    if heard := sorted(name for name in files if name.startswith("examples/")):
        own = [example for example in card.data.get("widget") or [] if example.get("src") not in heard]
        ours = [{"example_title": Path(name).stem.replace("_", " "), "src": name} for name in heard]
        card.data.widget = own + ours
    files["README.md"] = str(card).encode()
    results = parse_results(files[RESULTS].read_text(encoding="utf-8"))
    files[RESULTS] = print_results(hide_speakers(results)).encode()
    return files


def _name_repository(card: ModelCard, repo_id: str) -> None:
    """Put the repository into a card's title, metadata and example; what people wrote into it stays."""
    name = repo_id.split("/")[-1]
    former = card.data.model_name
    text = card.text.replace(f"# {former}\n", f"# {name}\n", 1)
    card.text = re.sub(rf'model="(?:[\w.-]+/)?{re.escape(str(former))}"', f'model="{repo_id}"', text)
    card.data.model_name = name


def check_licence(folder: str | Path) -> None:
    """Refuse a card whose licence does not open the model to all.

    Raises:
        ValueError: If it names none, or one that has to be read or asked about first.
    """
    licence = ModelCard.load(Path(folder, "README.md")).data.get("license")
    if not isinstance(licence, str) or licence.strip().casefold() in CLOSED_LICENCES:
        raise ValueError(
            f"A public push needs an open licence, the card says {licence!r}. Read those of the corpus and of the base "
            "model, or ask their owners; where they allow it, write `license: …` into the head of README.md. A private "
            "push needs none."
        )


def push(
    files: dict[str, Path | bytes],
    repo_id: str,
    *,
    public: bool = False,
    token: str | None = None,
    overwrite: bool = False,
) -> str:
    """Create the repository if needed and make it hold `files`, in one commit.

    Files there that no push would write are left alone; those of an earlier push that are not in `files` go.

    Args:
        files: By their path in the repository; recipe.yaml among them.
        repo_id: "user/name".
        public: Whether a new repository is open to all; one that is there stays as it is.
        token: None takes the one of `hf auth login`.
        overwrite: Replace another recipe's model.

    Returns:
        The commit's address.

    Raises:
        ValueError: If the repository holds another recipe's model, or is public where that was not asked for.
        OSError: As `connection.insist`.
    """
    api = HfApi(token=token)

    def attempt() -> str:
        # Looks at everything anew: of a commit whose answer was lost, nothing is left to send.
        address = api.create_repo(repo_id, private=not public, exist_ok=True)
        info = api.model_info(address.repo_id, timeout=connection.TIMEOUT)  # None there would wait for ever
        held = {sibling.rfilename for sibling in info.siblings}
        _check_visibility(repo_id, private=info.private, public=public)
        if not overwrite:
            _check_model(repo_id, held, Path(files[RECIPE]), f"{address}/resolve/{info.sha}/recipe.yaml", token)
        stale = [name for name in sorted(held - files.keys()) if _matches(name, ALLOWLIST)]
        operations = [
            *(CommitOperationAdd(name, file) for name, file in files.items()),
            *(CommitOperationDelete(name, is_folder=False) for name in stale),
        ]
        message = "Upload by ser_hf"
        return api.create_commit(address.repo_id, operations, commit_message=message, parent_commit=info.sha).commit_url

    return connection.insist(attempt, repo_id)


def _check_visibility(repo_id: str, *, private: bool, public: bool) -> None:
    if not private and not public:
        raise ValueError(
            f"'{repo_id}' is open to all: expected a private repository. Name another, make it private in its "
            "settings, or publish with --public."
        )
    if private and public:
        logger.warning(f"'{repo_id}' was private and stays so: open it in its settings.")


def _check_model(repo_id: str, held: set[str], recipe: Path, address: str, token: str | None) -> None:
    """Refuse a repository that holds another recipe's model; more epochs make no other recipe."""
    way_out = "Name another repository, or publish with --overwrite to replace that model."
    if RECIPE not in held:
        if models := [name for name in sorted(held) if _matches(name, MODELS)]:
            raise ValueError(f"'{repo_id}' holds a model that is not from ser_hf ({', '.join(models)}). {way_out}")
        return
    response = http_backoff("GET", address, headers=build_hf_headers(token=token))
    hf_raise_for_status(response)
    here = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    try:
        there = yaml.safe_load(response.text)
    except yaml.YAMLError:
        there = None
    if not isinstance(there, dict):
        raise ValueError(f"'{repo_id}' holds a recipe.yaml that is not from ser_hf. {way_out}")
    differences = [
        f"{key}: {there.get(key)} there, {here.get(key)} here"
        for key in sorted(there.keys() | here.keys())
        if key != "num_train_epochs" and there.get(key) != here.get(key)
    ]
    if differences:
        raise ValueError(f"'{repo_id}' holds another recipe's model ({'; '.join(differences)}). {way_out}")


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
