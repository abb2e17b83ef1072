rule measures:
    # Metrics before and after postprocessing, and those of the controls.
    input:
        ancient(book.inputs("measures")),
    output:
        book.outputs("measures"),
    log:
        book.log("measures"),
    conda:
        "../../envs/cpu.yaml"
    threads: book.threads
    params:
        recipe=book.recipe("measures"),
    script:
        "../scripts/measures.py"
