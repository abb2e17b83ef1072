rule neighbours:
    # Nearest real samples of the same class, for every generation of a pool.
    input:
        book.inputs("neighbours"),
    output:
        book.outputs("neighbours"),
    log:
        book.log("neighbours"),
    conda:
        book.environment
    threads: book.threads
    params:
        recipe=book.recipe("neighbours"),
    script:
        "../scripts/neighbours.py"
