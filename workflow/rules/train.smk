rule denoiser:
    # A base model, trained by Eq. (2).
    input:
        book.inputs("denoiser"),
    output:
        book.outputs("denoiser"),
    log:
        book.log("denoiser"),
    conda:
        book.environment
    threads: book.training_threads("denoiser")
    resources:
        mem_mb=book.mem_mb("denoiser"),
        runtime=book.runtime("denoiser"),
        gpu=book.gpus("denoiser"),
    params:
        recipe=book.recipe("denoiser"),
    script:
        "../scripts/denoiser.py"


rule classifier:
    # A classifier: noisy for guidance (Eq. 7), clean for features and evaluation.
    input:
        book.inputs("classifier"),
    output:
        book.outputs("classifier"),
    log:
        book.log("classifier"),
    conda:
        book.environment
    threads: book.training_threads("classifier")
    resources:
        mem_mb=book.mem_mb("classifier"),
        runtime=book.runtime("classifier"),
        gpu=book.gpus("classifier"),
    params:
        recipe=book.recipe("classifier"),
    script:
        "../scripts/classifier.py"


rule postprocessor:
    # The rectified flow from generations to their neighbours (Eq. 9).
    input:
        book.inputs("postprocessor"),
    output:
        book.outputs("postprocessor"),
    log:
        book.log("postprocessor"),
    conda:
        book.environment
    threads: book.training_threads("postprocessor")
    resources:
        mem_mb=book.mem_mb("postprocessor"),
        runtime=book.runtime("postprocessor"),
        gpu=book.gpus("postprocessor"),
    params:
        recipe=book.recipe("postprocessor"),
    script:
        "../scripts/postprocessor.py"
