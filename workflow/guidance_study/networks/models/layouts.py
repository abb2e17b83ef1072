"""The layouts of public checkpoints: which one a file is of, and the entry of a configuration that it belongs to.

Shapes tell widths, levels and classes. What they do not tell is listed with the value that the layout's authors use.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from guidance_study.config import seams
from guidance_study.networks.models.weights import WeightsError, mismatch

State = dict[str, Tensor]


@dataclass(frozen=True)
class Found:
    """What a file of weights is: the section of the configuration and its entry, and what shapes do not tell.

    Of a denoiser or a classifier also what it is built with: the shape of its samples, and its classes.
    """

    section: str
    entry: dict[str, Any]
    state: State
    untold: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    classes: int = 0


@dataclass(frozen=True)
class Layout:
    """`has`: names that every file of it has; `read`: what it is, from its tensors, or WeightsError."""

    has: tuple[str, ...]
    read: Callable[[State], Found]


def layout_of(state: State, wanted: str | None = None) -> tuple[str, Found]:
    """The name of the layout and what the file is. Raises WeightsError: none, another than wanted, or not as built."""
    names = [name for name, layout in LAYOUTS.items() if all(key in state for key in layout.has)]
    wanted = ALIASES.get(wanted or "", wanted)
    if wanted not in (None, *LAYOUTS):
        raise WeightsError(f"cannot be of layout '{wanted}': known are {', '.join(LAYOUTS)}")
    if wanted is not None and wanted not in names:
        lacks = next(key for key in LAYOUTS[wanted].has if key not in state)
        other = f"; it looks like {names[0]}" if names else ""
        raise WeightsError(f"is not of layout {wanted}: it lacks {lacks}{other}")
    if not names:
        raise WeightsError(f"is of no known layout ({', '.join(LAYOUTS)}); it begins with {', '.join(list(state)[:3])}")
    name = wanted or names[0]
    try:
        found = LAYOUTS[name].read(state)
        if found.section in ("networks", "classifiers"):
            _checked(found)
    except KeyError as error:
        raise WeightsError(f"is of layout {name}, but lacks {error.args[0]}") from None
    except WeightsError:
        raise
    except (
        ValueError,
        IndexError,
        RuntimeError,
        TypeError,
        AttributeError,
        ArithmeticError,
    ) as error:  # of shapes that none have
        said = str(error) or type(error).__name__
        if isinstance(error, ValidationError):  # what shapes tell is no network that could be configured
            first = error.errors()[0]
            said = " ".join([*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])
        raise WeightsError(
            f"is of a variant of layout {name} that is not built here: {' '.join(said.split())}"
        ) from None
    return name, found


def _checked(found: Found) -> None:
    """The network that the entry builds has exactly the file's names and shapes. Raises ValueError."""
    spec = seams.parse("networks", found.entry)
    more = (
        (found.classes, True) if found.section == "classifiers" else (found.classes and found.classes + spec.null_row,)
    )
    with torch.device("meta"):
        network = spec.build(found.shape, *more)
    if said := mismatch(network.state_dict(), spec.adapted(found.state)):
        raise ValueError(said)


def _adm(state: State) -> Found:
    """guided-diffusion's UNet, which torchcfm and improved-diffusion's models share."""
    first, last = _first(state), state["out.2.weight"]
    entry = {"kind": "unet", **_way_down(state), "learn_sigma": last.shape[0] == 2 * first.shape[1]}
    classes = state["label_emb.weight"].shape[0] if "label_emb.weight" in state else 0
    side = 64  # any: convolutions know none
    untold = ADM_UNTOLD | ({"num_head_channels": 64} if entry["resblock_updown"] else {})  # as the ImageNet models have
    return Found("networks", entry, state, untold, (first.shape[1], side, side), classes)


def _first(state: State) -> Tensor:
    """The first convolution's weight. guided-diffusion's super-resolution models see a small image beside the noise."""
    first = state["input_blocks.0.0.weight"]
    if first.shape[1] not in CHANNELS:
        raise WeightsError(
            f"takes {first.shape[1]} channels, where images have 1 or 3 and latents 4: models that see another image"
            " beside the noisy one, as those of super-resolution do, are not built here"
        )
    return first


def _adm_classifier(state: State) -> Found:
    """guided-diffusion's classifier of noisy images, with its pool "attention"."""
    down, positions = _way_down(state), state["out.2.positional_embedding"].shape[1] - 1
    side = math.isqrt(positions) * 2 ** (len(down["channel_mult"]) - 1)
    shape = (_first(state).shape[1], side, side)
    entry = {"kind": "unet_encoder", **down}
    return Found(
        "classifiers",
        entry,
        state,
        ADM_UNTOLD | {"num_head_channels": 64},
        shape,
        state["out.2.c_proj.weight"].shape[0],
    )


CHANNELS = (1, 3, 4)
ADM_UNTOLD = {
    "num_heads": 1,
    "num_head_channels": -1,
    "norm_groups": 32,
    "use_new_attention_order": False,
    "dropout": 0.0,
}


def _way_down(state: State) -> dict[str, Any]:
    """What the first half of an ADM says of it; its classifier has no other."""
    base, levels, attends, level = state["time_embed.0.weight"].shape[1], [[]], [], 0  # type: ignore[var-annotated]
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("input_blocks."))
    convolved = any(re.match(r"input_blocks\.\d+\.0\.op\.", name) for name in state)
    halving = [] if convolved else _halving(state, blocks)
    for block in range(1, blocks):
        at = f"input_blocks.{block}."
        if f"{at}0.op.weight" in state or block in halving:
            level += 1
            levels.append([])
            continue
        levels[level].append(state[f"{at}0.in_layers.2.weight"].shape[0])
        attends += [2**level] if f"{at}1.qkv.weight" in state else []
    if len({len(blocks) for blocks in levels}) > 1 or any(len(set(blocks)) > 1 for blocks in levels):
        raise WeightsError("has another number of blocks, or other widths, from level to level")
    embeds = state["input_blocks.1.0.emb_layers.1.weight"].shape[0]
    return {
        "model_channels": base,
        "num_res_blocks": len(levels[0]),
        "channel_mult": [blocks[0] // base for blocks in levels],
        "attention_resolutions": sorted(set(attends)),
        "use_scale_shift_norm": embeds == 2 * levels[0][0],
        "resblock_updown": bool(halving),
    }


def _halving(state: State, blocks: int) -> list[int]:
    """Which of so many blocks are residual ones that halve: the last of each level but the smallest."""
    doubling = [int(found[1]) for name in state if (found := re.match(r"output_blocks\.(\d+)\.[12]\.in_layers", name))]
    if doubling:
        return list(range(min(doubling) + 1, blocks, min(doubling) + 1))
    if "output_blocks.0.0.in_layers.0.weight" in state:
        return []
    periods = [p for p in range(2, blocks + 1) if blocks % p == 0 and _levels_of(p, state, blocks)]
    if len(periods) != 1:
        raise WeightsError("has levels that neither widths nor attention tell apart")
    return list(range(periods[0], blocks, periods[0]))


def _levels_of(period: int, state: State, blocks: int) -> bool:
    """Whether levels may begin after every so many blocks: widths change there alone, and attention is alike in it."""
    wider = {block for block in range(1, blocks) if f"input_blocks.{block}.0.skip_connection.weight" in state}
    attends = {block for block in range(1, blocks) if f"input_blocks.{block}.1.qkv.weight" in state}
    levels = [set(range(start + 1, start + period)) for start in range(0, blocks, period)]
    starts = {start + 1 for start in range(period, blocks, period)}
    return (
        wider <= starts
        and attends <= set().union(*levels)
        and all(level & attends in (set(), level) for level in levels)
    )


def _sides(state: State) -> list[int]:
    """Image sides of a SongUNet's levels, from the largest."""
    found = {int(match[1]) for name in state if (match := re.match(r"enc\.(\d+)x\d+_block", name))}
    return sorted(found, reverse=True)


def _edm(state: State) -> Found:
    """EDM's DDPM++."""
    sides = _sides(state)
    if not sides:
        raise WeightsError("has no level of residual blocks")
    largest = state[f"enc.{sides[0]}x{sides[0]}_conv.weight"]
    base, shape = largest.shape[0], (largest.shape[1], sides[0], sides[0])
    first = {side: f"enc.{side}x{side}_block0" for side in sides}
    blocks = [name for name in state if re.match(rf"enc\.{sides[0]}x{sides[0]}_block\d+\.conv0\.weight", name)]
    augment = state.get("map_augment.weight")
    entry = {
        "kind": "song_unet",
        "model_channels": base,
        "channel_mult": [state[f"{first[side]}.conv0.weight"].shape[0] // base for side in sides],
        "num_blocks": len(blocks),
        "attn_resolutions": [side for side in sides if f"{first[side]}.qkv.weight" in state],
        "augment_dim": 0 if augment is None else augment.shape[1],
    }
    classes = state["map_label.weight"].shape[1] if "map_label.weight" in state else 0
    return Found("networks", entry, state, {"dropout": 0.13}, shape, classes)


def _vae(state: State) -> Found:
    """diffusers' AutoencoderKL, of which the encoder is used."""
    from guidance_study.networks.modules.vae import PosteriorMean, encoder_state, sizes

    encoder = encoder_state(state)
    with torch.device("meta"):
        network = PosteriorMean(**sizes(encoder))
    if said := mismatch(network.state_dict(), encoder):
        raise WeightsError(f"is no AutoencoderKL as diffusers stores it: {said}")
    return Found("embeddings", {"kind": "vae"}, state)


def _inception(state: State) -> Found:
    """pytorch-fid's Inception; the layer of classes behind its features is left out."""
    from guidance_study.networks.modules.inception import CLASSES, FIDInception

    if (classes := state["fc.weight"].shape[0]) != CLASSES:
        raise WeightsError(
            f"has {classes} classes, FID's Inception {CLASSES}: another training's features are no FID's"
        )
    features = {name: value for name, value in state.items() if not name.startswith("fc.")}
    with torch.device("meta"):
        network = FIDInception()
    if said := mismatch(network.state_dict(), features):
        raise WeightsError(f"is no Inception as pytorch-fid stores it: {said}")
    return Found("embeddings", {"kind": "inception"}, features)


PATCH, GRID = 14, 37  # of DINOv2: pixels of a patch's side, patches of an image's


def _dinov2(state: State) -> Found:
    """DINOv2 under its hub's names, which timm turns into its own."""
    import timm
    from timm.models.vision_transformer import checkpoint_filter_fn

    width, registers = state["cls_token"].shape[-1], "reg4_" if "register_tokens" in state else ""
    size = {384: "small", 768: "base", 1024: "large", 1536: "giant"}.get(width)
    if size is None:
        raise WeightsError(f"has tokens of {width} numbers: DINOv2's have 384, 768, 1024 or 1536")
    kernel, positions = state["patch_embed.proj.weight"].shape[2:], state["pos_embed"].shape[1]
    if tuple(kernel) != (PATCH, PATCH) or positions not in (GRID**2, GRID**2 + 1):
        raise WeightsError(
            f"has patches of {' x '.join(map(str, kernel))} pixels and {positions} positions: DINOv2's have"
            f" {PATCH} x {PATCH} and {GRID**2 + 1}, of images of {PATCH * GRID} pixels"
        )
    name = f"vit_{size}_patch14_{registers}dinov2"
    network: Any = timm.create_model(name, num_classes=0)
    turned = {key: value for key, value in checkpoint_filter_fn(state, network).items() if key != "mask_token"}
    if said := mismatch(network.state_dict(), turned):
        raise WeightsError(f"does not fit timm's {name}: {said}")
    return Found("embeddings", {"kind": "timm", "model": f"{name}.lvd142m", "pool": "cls"}, turned)


ALIASES = {"torchcfm": "adm"}  # its UNet is guided-diffusion's
LAYOUTS = {
    "adm": Layout(("time_embed.0.weight", "input_blocks.0.0.weight", "out.2.weight"), _adm),
    "adm_classifier": Layout(
        ("time_embed.0.weight", "out.2.positional_embedding", "out.2.c_proj.weight"), _adm_classifier
    ),
    "edm": Layout(("map_layer0.weight", "map_layer1.weight"), _edm),
    "dinov2": Layout(("cls_token", "patch_embed.proj.weight", "blocks.0.ls1.gamma"), _dinov2),
    "inception": Layout(
        ("Mixed_5b.branch1x1.conv.weight", "Mixed_7c.branch_pool.conv.weight", "fc.weight"), _inception
    ),
    "vae": Layout(("encoder.conv_in.weight", "quant_conv.weight"), _vae),
}
