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
    resources:
        mem_mb=book.mem_mb("measures"),
        runtime=book.runtime("measures"),
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
    resources:
        mem_mb=book.mem_mb("point_measures"),
        runtime=book.runtime("point_measures"),
    params:
        recipe=book.recipe("point_measures"),
    script:
        "../scripts/point_measures.py"


rule statistics:
    # Mean and covariance of real images' features.
    input:
        book.inputs("statistics"),
    output:
        book.outputs("statistics"),
    log:
        book.log("statistics"),
    conda:
        book.environment
    threads: book.threads
    resources:
        mem_mb=book.mem_mb("statistics"),
        runtime=book.runtime("statistics"),
    params:
        recipe=book.recipe("statistics"),
    script:
        "../scripts/statistics.py"


rule cost:
    # Seconds and memory of sampling and of postprocessing, by batch size.
    input:
        book.inputs("cost"),
    output:
        book.outputs("cost"),
    log:
        book.log("cost"),
    conda:
        book.environment
    threads: book.threads
    resources:
        mem_mb=book.mem_mb("cost"),
        runtime=book.runtime("cost"),
        gpu=book.gpus("cost"),
    params:
        recipe=book.recipe("cost"),
    script:
        "../scripts/cost.py"
