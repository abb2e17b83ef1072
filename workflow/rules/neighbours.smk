neighbours = book.stage("neighbours")


rule neighbours:
    # Nearest real samples of the same class, for every generation of a pool.
    input:
        samples=neighbours.made_from("samples"),
        dataset=neighbours.made_from("dataset"),
        features=neighbours.made_from("features"),
        classifier=neighbours.made_from("classifier"),
    output:
        neighbours.outputs,
    log:
        neighbours.log,
    conda:
        book.environment
    threads: neighbours.threads
    resources:
        **neighbours.resources,
    params:
        recipe=neighbours.recipe,
        about=neighbours.about,
    message:
        book.message
    script:
        "../scripts/neighbours.py"


features = book.stage("features")


rule features:
    # Images in the space of a pretrained network.
    input:
        dataset=features.made_from("dataset"),
        samples=features.made_from("samples"),
        postprocessed=features.made_from("postprocessed"),
        shards=features.shards,
    output:
        features.outputs,
    log:
        features.log,
    conda:
        book.environment
    threads: features.threads
    resources:
        **features.resources,
    params:
        recipe=features.recipe,
        about=features.about,
    message:
        book.message
    script:
        "../scripts/features.py"
