"""Write and push a Space: the live page of a published model on the Hub, with Gradio.

Nothing in it is secret, and no code of the model is run: a Space of a private model reads the access token from its own
settings.
"""

import json
import logging
import platform
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import yaml
from huggingface_hub import CommitOperationAdd, HfApi, ModelCard

from ser_hf.publishing import retry
from ser_hf.publishing.card_sections import describe_limits
from ser_hf.publishing.model_facts import describe_model
from ser_hf.publishing.upload import check_visibility, download_text, publishable_files

logger = logging.getLogger(__name__)

FOLDER = "space"  # in the output folder of the run
EXTRAS = "demo,annotations,formats"
FIRST_LINE = '"""The page of a model of ser_hf: upload or record speech, and see its emotions over time."""'
APP = f"""{FIRST_LINE}

from ser_hf.publishing.model_facts import describe_model, read_card
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.page import build_page, serve_page

MODEL = %s

page = build_page(EmotionClassifier.from_pretrained(MODEL), about=describe_model(MODEL), card=read_card(MODEL))
serve_page(page, host="0.0.0.0", own_origin_only=False)
page.block_thread()
"""


def write_space(folder: str | Path, repo_id: str) -> Path:
    """Write the files of the Space of a model into the sub-folder `space` of its output folder, and return this folder.

    Args:
        folder: Output folder of a finished run.
        repo_id: "user/name" of the model.

    Raises:
        ImportError: If Gradio is not installed, whose version is written into the Space.
        FileNotFoundError: If the folder is not a finished run.
        ValueError: For the reason of `find_requirement`.
    """
    publishable_files(folder)
    files = {
        "README.md": _render_readme(Path(folder), repo_id),
        "app.py": APP % json.dumps(repo_id),
        "requirements.txt": f"{find_requirement()}\n",
    }
    space = Path(folder, FOLDER)
    space.mkdir(exist_ok=True)
    for name, text in files.items():
        (space / name).write_text(text, encoding="utf-8")
    return space


def find_requirement() -> str:
    """Return how pip installs this version of ser_hf: from the commit that it was installed from.

    Raises:
        ValueError: If it was not installed from a git address with https. No package index has ser_hf, so that a
            requirement with a version would install whatever somebody else uploads under this name.
    """
    origin = json.loads(distribution("ser_hf").read_text("direct_url.json") or "{}")  # PEP 610, without passwords
    if "vcs_info" not in origin or not origin["url"].startswith("https://"):
        raise ValueError(
            "A Space installs ser_hf from its git address: expected an installation from an address with https, found "
            "another one. Install it with pip install 'ser_hf[demo] @ git+https://ADDRESS', and publish again."
        )
    return f"ser_hf[{EXTRAS}] @ git+{origin['url']}@{origin['vcs_info']['commit_id']}"


def push_space(
    space: str | Path, repo_id: str, *, public: bool = False, token: str | None = None, overwrite: bool = False
) -> str:
    """Push the files of a Space in one commit, and return the address of the commit.

    Args:
        space: Folder from `write_space`.
        repo_id: "user/name"; created as a Space if it does not exist.
        public: Make a new Space public.
        token: Access token; None for the one of `hf auth login`.
        overwrite: Replace a Space that was not made with ser_hf.

    Raises:
        ValueError: If the Space was not made with ser_hf, or is public although `public` is false.
        OSError: For the reasons of `retry.call_with_retries`.
    """
    api = HfApi(token=token)
    files = sorted(path for path in Path(space).iterdir() if path.is_file())

    def attempt() -> str:
        address = api.create_repo(repo_id, repo_type="space", space_sdk="gradio", private=not public, exist_ok=True)
        info = api.space_info(address.repo_id, timeout=retry.TIMEOUT)
        held = {sibling.rfilename for sibling in info.siblings or []}
        check_visibility(repo_id, private=info.private, public=public)
        if "app.py" in held and not overwrite:
            app = download_text(f"{address}/resolve/{info.sha}/app.py", token)
            if not app.startswith(FIRST_LINE):
                raise ValueError(
                    f"The Space '{repo_id}' was not made with ser_hf. Pass another repository, or publish with "
                    "--overwrite to replace its app.py."
                )
        operations = [CommitOperationAdd(path.name, path) for path in files]
        options: dict = {"repo_type": "space", "commit_message": "Upload by ser_hf", "parent_commit": info.sha}
        return api.create_commit(address.repo_id, operations, **options).commit_url

    commit = retry.call_with_retries(attempt, repo_id)
    if not public:
        logger.warning(
            f"If the model is private, the Space '{repo_id}' needs the secret HF_TOKEN in its settings: a token that "
            "may read the model."
        )
    return commit


def _render_readme(folder: Path, repo_id: str) -> str:
    try:
        gradio = version("gradio")
    except PackageNotFoundError as error:
        raise ImportError('A Space needs Gradio: pip install "ser_hf[demo]"') from error
    head = {
        "title": f"Speech emotions: {repo_id.split('/')[-1]}",
        "colorFrom": "indigo",
        "colorTo": "indigo",
        "sdk": "gradio",
        "sdk_version": gradio,
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "app_file": "app.py",
        "license": ModelCard.load(folder / "README.md").data.get("license"),
        "models": [repo_id],
        "tags": ["speech-emotion-recognition", "ser_hf"],
    }
    text = yaml.safe_dump({key: value for key, value in head.items() if value}, sort_keys=False, allow_unicode=True)
    page = f"The live page of the model [{repo_id}](https://huggingface.co/{repo_id})."
    facts = f"{describe_model(str(folder), intended_use=False)}\n\n{describe_limits(str(folder))}"
    return f"---\n{text}---\n\n# {head['title']}\n\n{page}\n\n{facts}\n"
