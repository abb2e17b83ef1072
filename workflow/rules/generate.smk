rule shard:
    # A share of the rows of generations, features or postprocessed generations.
    input:
        book.shard_inputs,
    output:
        temp("results/.shards/{stage}/{artefact}/{i}-of-{n}.json"),
    log:
        "results/logs/shard/{stage}/{artefact}/{i}-of-{n}.log",
    wildcard_constraints:
        stage="samples|features|postprocessed",
        i=r"\d+",
        n=r"\d+",
    conda:
        book.environment
    threads: book.threads
    resources:
        mem_mb=book.mem_mb(),
        runtime=book.runtime(),
        gpu=book.gpus(),
    params:
        recipe=book.shard_recipe,
    script:
        "../scripts/shard.py"


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
    resources:
        mem_mb=book.mem_mb("samples"),
        runtime=book.runtime("samples"),
        gpu=book.gpus("samples"),
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
    resources:
        mem_mb=book.mem_mb("postprocessed"),
        runtime=book.runtime("postprocessed"),
        gpu=book.gpus("postprocessed"),
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
    resources:
        mem_mb=book.mem_mb("paths"),
        runtime=book.runtime("paths"),
    params:
        recipe=book.recipe("paths"),
    script:
        "../scripts/paths.py"
