rule table:
    # A table of the configuration, in four formats.
    input:
        ancient(book.inputs("table")),
    output:
        book.outputs("table"),
    params:
        recipe=book.recipe("table"),
    log:
        book.log("table"),
    threads: book.threads
    script:
        "../scripts/table.py"


rule figure:
    # A figure of the configuration, as .png and .pdf.
    input:
        ancient(book.inputs("figure")),
    output:
        book.outputs("figure"),
    params:
        recipe=book.recipe("figure"),
    log:
        book.log("figure"),
    threads: book.threads
    script:
        "../scripts/figure.py"
