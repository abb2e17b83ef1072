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
    params:
        recipe=book.recipe("dataset"),
    script:
        "../scripts/dataset.py"
