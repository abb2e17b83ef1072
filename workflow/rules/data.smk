rule dataset:
    # Raw files, checked against their pinned digests, as arrays.
    input:
        ancient(book.inputs("dataset")),
    output:
        book.outputs("dataset"),
    params:
        recipe=book.recipe("dataset"),
    log:
        book.log("dataset"),
    threads: book.threads
    script:
        "../scripts/dataset.py"
