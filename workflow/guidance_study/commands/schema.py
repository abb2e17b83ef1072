"""Print the JSON schema of the configuration or of overlays; workflow/schemas/ holds copies."""

from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--overlay", action="store_true", help="of overlays: nothing is required")
    form.add_argument("--markdown", action="store_true", help="as docs/configuration.md, for readers")


def run(options: Namespace) -> int:
    from guidance_study.config.schema import overlay_text, reference_text, schema_text

    text = overlay_text if options.overlay else reference_text if options.markdown else schema_text
    print(text(), end="")
    return 0
