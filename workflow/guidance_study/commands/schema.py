"""Print the JSON schema of the configuration; workflow/schemas/config.schema.json holds a copy."""


def arguments(parser) -> None:
    """What may follow it on the command line."""
    parser.add_argument("--markdown", action="store_true", help="as docs/configuration.md, for readers")


def run(options) -> int:
    from guidance_study.config.schema import reference_text, schema_text

    print(reference_text() if options.markdown else schema_text(), end="")
    return 0
