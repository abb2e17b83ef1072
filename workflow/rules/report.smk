localrules:
    table,
    figure,


rule table:
    # A table of the configuration, in four formats.
    input:
        book.inputs("table"),
    output:
        book.outputs("table"),
        report(book.shown("table"), caption="../report/table.rst", category="Tables"),
    log:
        book.log("table"),
    conda:
        book.environment
    threads: book.threads
    resources:
        mem_mb=book.mem_mb("table"),
        runtime=book.runtime("table"),
    params:
        recipe=book.recipe("table"),
    script:
        "../scripts/table.py"


rule figure:
    # A figure of the configuration, as .png and .pdf.
    input:
        book.inputs("figure"),
    output:
        book.outputs("figure"),
        report(book.shown("figure"), caption="../report/figure.rst", category="Figures"),
    log:
        book.log("figure"),
    conda:
        book.environment
    threads: book.threads
    resources:
        mem_mb=book.mem_mb("figure"),
        runtime=book.runtime("figure"),
    params:
        recipe=book.recipe("figure"),
    script:
        "../scripts/figure.py"
