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
    script:
        "../scripts/download.py"


rule dataset:
    # Raw files, checked against their pinned digests, as arrays.
    input:
        book.inputs("dataset"),
    output:
        book.outputs("dataset"),
    log:
        book.log("dataset"),
    conda:
        book.environment
    threads: book.threads
    resources:
        mem_mb=book.mem_mb("dataset"),
        runtime=book.runtime("dataset"),
    params:
        recipe=book.recipe("dataset"),
    script:
        "../scripts/dataset.py"
