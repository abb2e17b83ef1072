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


rule point_measures:
    # What the closed form says of points: before, after, and of the controls.
    input:
        book.inputs("point_measures"),
    output:
        book.outputs("point_measures"),
    log:
        book.log("point_measures"),
    conda:
        book.environment
    threads: book.threads
    params:
        recipe=book.recipe("point_measures"),
    script:
        "../scripts/point_measures.py"
