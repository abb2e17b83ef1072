rule samples:
    # Guided generations (Eqs. 7 and 8).
    input:
        ancient(book.inputs("samples")),
    output:
        book.outputs("samples"),
    log:
        book.log("samples"),
    conda:
        "../../envs/cpu.yaml"
    threads: book.threads
    params:
        recipe=book.recipe("samples"),
    script:
        "../scripts/samples.py"


rule postprocessed:
    # Generations moved along the postprocessing flow by Dopri5.
    input:
        ancient(book.inputs("postprocessed")),
    output:
        book.outputs("postprocessed"),
    log:
        book.log("postprocessed"),
    conda:
        "../../envs/cpu.yaml"
    threads: book.threads
    params:
        recipe=book.recipe("postprocessed"),
    script:
        "../scripts/postprocessed.py"
