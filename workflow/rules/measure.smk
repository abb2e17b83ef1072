rule measures:
    # Metrics before and after postprocessing, and those of the controls.
    input:
        ancient(book.inputs("measures")),
    output:
        book.outputs("measures"),
    params:
        recipe=book.recipe("measures"),
    log:
        book.log("measures"),
    threads: book.threads
    script:
        "../scripts/measures.py"
