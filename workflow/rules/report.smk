localrules:
    table,
    figure,


table = book.stage("table")


rule table:
    # A table of the configuration, in four formats.
    input:
        **table.made_from_any,
    output:
        table.outputs,
        report(table.shown, caption="../report/table.rst", category="Tables"),
    log:
        table.log,
    conda:
        book.environment
    threads: table.threads
    resources:
        **table.resources,
    params:
        recipe=table.recipe,
        about=table.about,
        caption=table.caption,
    message:
        book.message
    script:
        "../scripts/table.py"


figure = book.stage("figure")


rule figure:
    # A figure of the configuration, as .png and .pdf.
    input:
        **figure.made_from_any,
    output:
        figure.outputs,
        report(figure.shown, caption="../report/figure.rst", category="Figures"),
    log:
        figure.log,
    conda:
        book.environment
    threads: figure.threads
    resources:
        **figure.resources,
    params:
        recipe=figure.recipe,
        about=figure.about,
        caption=figure.caption,
    message:
        book.message
    script:
        "../scripts/figure.py"
