rule table:
    # A table of the configuration, in four formats.
    input:
        ancient(book.inputs("table")),
    output:
        book.outputs("table"),
    log:
        book.log("table"),
    conda:
        "../../envs/cpu.yaml"
    threads: book.threads
    params:
        recipe=book.recipe("table"),
    script:
        "../scripts/table.py"


rule figure:
    # A figure of the configuration, as .png and .pdf.
    input:
        ancient(book.inputs("figure")),
    output:
        book.outputs("figure"),
    log:
        book.log("figure"),
    conda:
        "../../envs/cpu.yaml"
    threads: book.threads
    params:
        recipe=book.recipe("figure"),
    script:
        "../scripts/figure.py"
