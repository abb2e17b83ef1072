measures = book.stage("measures")


rule measures:
    # Metrics before and after postprocessing, and those of the controls.
    input:
        dataset=measures.made_from("dataset"),
        samples=measures.made_from("samples"),
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


point_measures = book.stage("point_measures")


rule point_measures:
    # What the closed form says of points: before, after, and of the controls.
    input:
        dataset=point_measures.made_from("dataset"),
        samples=point_measures.made_from("samples"),
        postprocessed=point_measures.made_from("postprocessed"),
        classifier=point_measures.made_from("classifier"),
        features=point_measures.made_from("features"),
    output:
        point_measures.outputs,
    log:
        point_measures.log,
    conda:
        book.environment
    threads: point_measures.threads
    resources:
        **point_measures.resources,
    params:
        recipe=point_measures.recipe,
        about=point_measures.about,
    message:
        book.message
    script:
        "../scripts/point_measures.py"


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
