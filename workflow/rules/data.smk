localrules:
    download,


rule download:
    # Raw files and weights that the configuration names and that are not there yet; where there is internet.
    log:
        f"{book.results}/logs/download.log",
    conda:
        book.environment
    params:
        files=book.downloads(),
    message:
        "files from outside that the configuration names and that are not there"
    script:
        "../scripts/download.py"


dataset = book.stage("dataset")


rule dataset:
    # Raw files, checked against their pinned digests, as arrays.
    output:
        dataset.outputs,
    log:
        dataset.log,
    conda:
        book.environment
    threads: dataset.threads
    resources:
        **dataset.resources,
    params:
        recipe=dataset.recipe,
        about=dataset.about,
    message:
        book.message
    script:
        "../scripts/dataset.py"
