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
    resources:
        mem_mb=book.mem_mb("neighbours"),
        runtime=book.runtime("neighbours"),
    params:
        recipe=book.recipe("neighbours"),
    script:
        "../scripts/neighbours.py"


rule features:
    # Images in the space of a pretrained network.
    input:
        book.inputs("features"),
    output:
        book.outputs("features"),
    log:
        book.log("features"),
    conda:
        book.environment
    threads: book.threads
    resources:
        mem_mb=book.mem_mb("features"),
        runtime=book.runtime("features"),
        gpu=book.gpus("features"),
    params:
        recipe=book.recipe("features"),
    script:
        "../scripts/features.py"
