rule measures:
    # Metrics before and after postprocessing, and those of the controls.
    input:
        book.inputs("measures"),
    output:
        book.outputs("measures"),
    log:
        book.log("measures"),
    conda:
        book.environment
    threads: book.threads
    params:
        recipe=book.recipe("measures"),
    script:
        "../scripts/measures.py"
