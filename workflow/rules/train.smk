denoiser = book.stage("denoiser")


rule denoiser:
    # A base model, trained by Eq. (2).
    input:
        dataset=denoiser.made_from("dataset"),
    output:
        denoiser.outputs,
    log:
        denoiser.log,
    conda:
        book.environment
    threads: denoiser.threads
    resources:
        **denoiser.resources,
    params:
        recipe=denoiser.recipe,
        about=denoiser.about,
    message:
        book.message
    script:
        "../scripts/denoiser.py"


classifier = book.stage("classifier")


rule classifier:
    # A classifier: noisy for guidance (Eq. 7), clean for features and evaluation.
    input:
        dataset=classifier.made_from("dataset"),
    output:
        classifier.outputs,
    log:
        classifier.log,
    conda:
        book.environment
    threads: classifier.threads
    resources:
        **classifier.resources,
    params:
        recipe=classifier.recipe,
        about=classifier.about,
    message:
        book.message
    script:
        "../scripts/classifier.py"


postprocessor = book.stage("postprocessor")


rule postprocessor:
    # The rectified flow from generations to their neighbours (Eq. 9).
    input:
        samples=postprocessor.made_from("samples"),
        dataset=postprocessor.made_from("dataset"),
        neighbours=postprocessor.made_from("neighbours"),
        classifier=postprocessor.made_from("classifier"),
    output:
        postprocessor.outputs,
    log:
        postprocessor.log,
    conda:
        book.environment
    threads: postprocessor.threads
    resources:
        **postprocessor.resources,
    params:
        recipe=postprocessor.recipe,
        about=postprocessor.about,
    message:
        book.message
    script:
        "../scripts/postprocessor.py"
