measures = book.stage("measures")


rule measures:
    # Metrics of generations before and after postprocessing and of the controls, or of trajectories.
    input:
        dataset=measures.made_from("dataset"),
        samples=measures.made_from("samples"),
        trajectories=measures.made_from("trajectories"),
        postprocessed=measures.made_from("postprocessed"),
        features=measures.made_from("features"),
        statistics=measures.made_from("statistics"),
        classifier=measures.made_from("classifier"),
    output:
        measures.outputs,
    log:
        measures.log,
    conda:
        book.environment
    threads: measures.threads
    resources:
        **measures.resources,
    params:
        recipe=measures.recipe,
        about=measures.about,
    message:
        book.message
    script:
        "../scripts/measures.py"


statistics = book.stage("statistics")


rule statistics:
    # Mean and covariance of real images' features.
    input:
        features=statistics.made_from("features"),
    output:
        statistics.outputs,
    log:
        statistics.log,
    conda:
        book.environment
    threads: statistics.threads
    resources:
        **statistics.resources,
    params:
        recipe=statistics.recipe,
        about=statistics.about,
    message:
        book.message
    script:
        "../scripts/statistics.py"


cost = book.stage("cost")


rule cost:
    # Seconds and memory of sampling and of postprocessing, by batch size.
    input:
        denoiser=cost.made_from("denoiser"),
        classifier=cost.made_from("classifier"),
        postprocessor=cost.made_from("postprocessor"),
    output:
        cost.outputs,
    log:
        cost.log,
    conda:
        book.environment
    threads: cost.threads
    resources:
        **cost.resources,
    params:
        recipe=cost.recipe,
        about=cost.about,
    message:
        book.message
    script:
        "../scripts/cost.py"
