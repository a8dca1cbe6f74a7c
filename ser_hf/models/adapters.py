"""Low-rank adapters (LoRA, DoRA) of the encoder, trained with peft and merged into the stock weights before saving.

An adapter adds the product of two small matrices to the weight of a linear layer; all other weights of the encoder are
frozen, and the head is trained. The layers are replaced in place, so that the model keeps its stock class and its
run-time patches: the wrapper of peft would call `forward` without the hooks of `make_padding_aware`.

Sources: Hu et al. 2021, LoRA, https://arxiv.org/abs/2106.09685; Liu et al. 2024, DoRA,
https://arxiv.org/abs/2402.09353
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn
from transformers import PreTrainedModel

from ser_hf.cache import whole_file
from ser_hf.models.checkpoint_loading import is_head
from ser_hf.models.frozen import settle_frozen_part

logger = logging.getLogger(__name__)
# Names of the attention projections in the architectures of transformers.
ATTENTION = {
    "q_proj", "k_proj", "v_proj", "out_proj", "o_proj",  # wav2vec2 and its relatives, Whisper, AST
    "linear_q", "linear_k", "linear_v", "linear_out",  # conformers
    "query_proj", "key_proj", "value_proj",  # SEW-D
}  # fmt: skip
FEED_FORWARD = {"intermediate_dense", "output_dense"}
# The stock attention of WavLM gives the weights of these layers to a function and never calls the layers themselves, so
# that an adapter in them would have no effect. Source: modeling_wavlm.py, `torch_multi_head_self_attention`
NEVER_CALLED = {"wavlm": {"q_proj", "k_proj", "v_proj", "out_proj"}}


def add_adapter(
    model: PreTrainedModel, kind: str, *, rank: int = 8, alpha: int = 16, targets: Sequence[str] | None = None
) -> None:
    """Add an adapter to linear layers of the encoder, in place; only the adapter and the head remain trainable.

    The logits do not change before training.

    Args:
        model: Stock audio classifier.
        kind: "lora" or "dora".
        rank: Rank of the product that is added to a weight.
        alpha: Scale of the product, times the rank.
        targets: Names of linear layers, or ends of their names such as "q_proj"; None for the attention projections,
            and for the feed-forward layers of WavLM.

    Raises:
        ImportError: If peft is not installed.
        ValueError: If a target is no linear layer of the encoder.
    """
    check_peft()
    from peft import LoraConfig, inject_adapter_in_model

    layers = choose_targets(model, targets)
    config = LoraConfig(r=rank, lora_alpha=alpha, use_dora=kind == "dora", target_modules=layers)
    base = model.config.name_or_path or ""
    config.base_model_name_or_path = Path(base).name if Path(base).is_dir() else base  # no path is published
    inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        if is_head(name):
            parameter.requires_grad_(True)
    settle_frozen_part(model)
    # After the injection, which would otherwise keep a second copy of the head in the model.
    config.modules_to_save = [name for name, _ in model.named_children() if is_head(name)]
    config.target_modules = layers  # a set until here, in random order
    trained, whole = (sum(map(torch.numel, group)) for group in (_trained(model), model.parameters()))
    logger.info(f"{kind}: {trained:,} of {whole:,} parameters are trained ({trained / whole:.2%}).")


def check_peft() -> None:
    """Raise ImportError if peft is not installed."""
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise ImportError('adapter: lora and dora need peft: pip install "ser_hf[adapters]"') from error


def choose_targets(model: PreTrainedModel, targets: Sequence[str] | None = None) -> list[str]:
    """Return the names of the layers that get an adapter, see `add_adapter`.

    Raises:
        ValueError: If a target is no linear layer of the encoder; the message lists the linear layers.

    Examples:
        >>> from transformers import AutoConfig, AutoModelForAudioClassification
        >>> config = AutoConfig.for_model("wavlm", num_hidden_layers=1)
        >>> choose_targets(AutoModelForAudioClassification.from_config(config))
        ['intermediate_dense', 'output_dense']
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and not is_head(name)]
    never = NEVER_CALLED.get(model.config.model_type, set())
    linear = [name for name in linear if _last(name) not in never]
    ends = set(map(_last, linear))
    if targets is None:
        targets = sorted(ends & ATTENTION or ends & FEED_FORWARD)
    unknown = [target for target in targets if not any(f".{name}".endswith(f".{target}") for name in linear)]
    if unknown or not targets:
        raise ValueError(
            f"adapter_targets: expected names of linear layers of the '{model.config.model_type}' encoder that can be "
            f"adapted ({', '.join(sorted(ends)) or 'it has none'}), found {unknown or 'no attention'}."
        )
    return list(targets)


def save_adapter(model: PreTrainedModel, folder: str | Path) -> None:
    """Write the adapter and the head of a model, before `merge_adapter`, for `peft.PeftModel.from_pretrained`.

    Args:
        model: Model after `add_adapter`.
        folder: Folder for adapter_config.json and adapter_model.safetensors; it is created.
    """
    from peft import get_peft_model_state_dict

    config: Any = model.peft_config["default"]
    adapter = get_peft_model_state_dict(model, save_embedding_layers=False)
    adapter |= {name: value for name, value in model.state_dict().items() if is_head(name)}
    tensors = {f"base_model.model.{name}": value.cpu().contiguous() for name, value in adapter.items()}
    Path(folder).mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    with whole_file(Path(folder, "adapter_model.safetensors")) as partial:
        partial.write_bytes(save(tensors, {"format": "pt"}))


def merge_adapter(model: PreTrainedModel) -> None:
    """Add the adapter to the weights of its layers and remove it, in place; the weights have stock names again."""
    from peft.tuners.lora import LoraLayer

    for name, layer in list(model.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge()
            model.set_submodule(name, layer.get_base_layer())
    del model.peft_config


def _trained(model: PreTrainedModel) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _last(name: str) -> str:
    return name.rpartition(".")[2]
