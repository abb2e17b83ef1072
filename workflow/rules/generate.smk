rule samples:
    # Guided generations (Eqs. 7 and 8).
    input:
        book.inputs("samples"),
    output:
        book.outputs("samples"),
    log:
        book.log("samples"),
    conda:
        book.environment
    threads: book.threads
    params:
        recipe=book.recipe("samples"),
    script:
        "../scripts/samples.py"


rule postprocessed:
    # Generations moved along the postprocessing flow by Dopri5.
    input:
        book.inputs("postprocessed"),
    output:
        book.outputs("postprocessed"),
    log:
        book.log("postprocessed"),
    conda:
        book.environment
    threads: book.threads
    params:
        recipe=book.recipe("postprocessed"),
    script:
        "../scripts/postprocessed.py"


rule paths:
    # Trajectories from the same noises, of learned and of exact parts.
    input:
        book.inputs("paths"),
    output:
        book.outputs("paths"),
    log:
        book.log("paths"),
    conda:
        book.environment
    threads: book.threads
    params:
        recipe=book.recipe("paths"),
    script:
        "../scripts/paths.py"
