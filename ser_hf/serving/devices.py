"""Choose the device and the data type of the computation."""

import torch


def choose_device(device: str | torch.device | None) -> torch.device:
    """Return the device; for None the GPU if there is one, else the CPU.

    Raises:
        ValueError: If the device is not available.
    """
    available = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(1, device=device or available).device
    except (AssertionError, RuntimeError) as error:  # raised by torch builds without support for the device
        raise ValueError(f"device: expected an available one, such as '{available}', found '{device}'.") from error


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Return the type to compute in; "auto" is bfloat16 on hardware that multiplies it natively, else float32.

    Examples:
        >>> choose_dtype("float32", torch.device("cpu"))
        torch.float32
    """
    if dtype != "auto":
        return getattr(torch, dtype)
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return torch.bfloat16 if fast else torch.float32
