rule dataset:
    # Raw files, checked against their pinned digests, as arrays.
    input:
        ancient(book.inputs("dataset")),
    output:
        book.outputs("dataset"),
    log:
        book.log("dataset"),
    conda:
        "../../envs/cpu.yaml"
    threads: book.threads
    params:
        recipe=book.recipe("dataset"),
    script:
        "../scripts/dataset.py"
