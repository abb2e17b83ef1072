rule samples:
    # Guided generations (Eqs. 7 and 8).
    input:
        ancient(book.inputs("samples")),
    output:
        book.outputs("samples"),
    params:
        recipe=book.recipe("samples"),
    log:
        book.log("samples"),
    threads: book.threads
    script:
        "../scripts/samples.py"


rule postprocessed:
    # Generations moved along the postprocessing flow by Dopri5.
    input:
        ancient(book.inputs("postprocessed")),
    output:
        book.outputs("postprocessed"),
    params:
        recipe=book.recipe("postprocessed"),
    log:
        book.log("postprocessed"),
    threads: book.threads
    script:
        "../scripts/postprocessed.py"
