"""What UNets share in the plan: levels, each of half the height and width of the one before."""


def check_halves(shape: tuple[int, ...], levels: int, patch: int = 1) -> None:
    """ValueError unless samples are images whose sides, in patches of so many pixels, halve from level to level."""
    factor = patch * 2 ** (levels - 1)
    if len(shape) != 3 or shape[1] % factor or shape[2] % factor:
        patches = f" and patches of {patch} pixels" if patch > 1 else ""
        raise ValueError(f"a UNet of {levels} levels{patches} needs images with sides in multiples of {factor}")


def unet_operations(shape: tuple[int, ...], widths: list[int], blocks: int) -> float:
    """Floating-point operations for one image, of two 3 x 3 convolutions a block, twice as wide going up.

    widths: channels of each level; blocks: of a level, going down.
    """
    pixels = [(shape[1] >> level) * (shape[2] >> level) for level in range(len(widths))]
    places = sum(size * width**2 for size, width in zip(pixels, widths, strict=True))
    return 2.0 * 1.5 * (2 * blocks + 1) * 2 * 9 * places
