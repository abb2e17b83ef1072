rule measures:
    # Metrics of generations before and after postprocessing and of the controls, or of trajectories.
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
