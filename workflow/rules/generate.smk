shard = book.shard


rule shard:
    # A share of the rows of generations, features or postprocessed generations.
    input:
        **shard.made_from_any,
    output:
        temp(shard.marker),
    log:
        shard.log,
    wildcard_constraints:
        stage=shard.stages,
        i=r"\d+",
        n=r"\d+",
    conda:
        book.environment
    threads: shard.threads
    resources:
        **shard.resources,
    params:
        recipe=shard.recipe,
        about=shard.about,
    message:
        book.message
    script:
        "../scripts/shard.py"


samples = book.stage("samples")


rule samples:
    # Guided generations (Eqs. 7 and 8).
    input:
        denoiser=samples.made_from("denoiser"),
        classifier=samples.made_from("classifier"),
        shards=samples.shards,
    output:
        samples.outputs,
    log:
        samples.log,
    conda:
        book.environment
    threads: samples.threads
    resources:
        **samples.resources,
    params:
        recipe=samples.recipe,
        about=samples.about,
    message:
        book.message
    script:
        "../scripts/samples.py"


postprocessed = book.stage("postprocessed")


rule postprocessed:
    # Generations moved along the postprocessing flow by Dopri5.
    input:
        samples=postprocessed.made_from("samples"),
        dataset=postprocessed.made_from("dataset"),
        postprocessor=postprocessed.made_from("postprocessor"),
        shards=postprocessed.shards,
    output:
        postprocessed.outputs,
    log:
        postprocessed.log,
    conda:
        book.environment
    threads: postprocessed.threads
    resources:
        **postprocessed.resources,
    params:
        recipe=postprocessed.recipe,
        about=postprocessed.about,
    message:
        book.message
    script:
        "../scripts/postprocessed.py"


trajectories = book.stage("trajectories")


rule trajectories:
    # Trajectories from the same noises, of learned and of exact parts.
    input:
        dataset=trajectories.made_from("dataset"),
        denoiser=trajectories.made_from("denoiser"),
        classifier=trajectories.made_from("classifier"),
    output:
        trajectories.outputs,
    log:
        trajectories.log,
    conda:
        book.environment
    threads: trajectories.threads
    resources:
        **trajectories.resources,
    params:
        recipe=trajectories.recipe,
        about=trajectories.about,
    message:
        book.message
    script:
        "../scripts/trajectories.py"
