rule denoiser:
    # A base model, trained by Eq. (2).
    input:
        ancient(book.inputs("denoiser")),
    output:
        book.outputs("denoiser"),
    params:
        recipe=book.recipe("denoiser"),
    log:
        book.log("denoiser"),
    threads: book.threads
    script:
        "../scripts/denoiser.py"


rule classifier:
    # A classifier: noisy for guidance (Eq. 7), clean for features and evaluation.
    input:
        ancient(book.inputs("classifier")),
    output:
        book.outputs("classifier"),
    params:
        recipe=book.recipe("classifier"),
    log:
        book.log("classifier"),
    threads: book.threads
    script:
        "../scripts/classifier.py"


rule postprocessor:
    # The rectified flow from generations to their neighbours (Eq. 9).
    input:
        ancient(book.inputs("postprocessor")),
    output:
        book.outputs("postprocessor"),
    params:
        recipe=book.recipe("postprocessor"),
    log:
        book.log("postprocessor"),
    threads: book.threads
    script:
        "../scripts/postprocessor.py"
