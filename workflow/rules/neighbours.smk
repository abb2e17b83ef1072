rule neighbours:
    # Nearest real samples of the same class, for every generation of a pool.
    input:
        ancient(book.inputs("neighbours")),
    output:
        book.outputs("neighbours"),
    params:
        recipe=book.recipe("neighbours"),
    log:
        book.log("neighbours"),
    threads: book.threads
    script:
        "../scripts/neighbours.py"
