localrules:
    table,
    figure,
    page,


table = book.stage("table")


rule table:
    # A table of the configuration, in four formats.
    input:
        **table.made_from_any,
    output:
        table.outputs,
        report(
            table.shown,
            caption="../report/table.rst",
            category="Tables",
            labels=table.labels,
        ),
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
        report(
            figure.shown,
            caption="../report/figure.rst",
            category="Figures",
            labels=figure.labels,
        ),
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


page = book.stage("page")


rule page:
    # A page of the configuration: the board of claims, the report.
    input:
        **page.made_from_any,
    output:
        page.outputs,
        report(
            page.shown,
            caption="../report/table.rst",
            category="Pages",
            labels=page.labels,
        ),
    log:
        page.log,
    conda:
        book.environment
    threads: page.threads
    resources:
        **page.resources,
    params:
        recipe=page.recipe,
        about=page.about,
        caption=page.caption,
    message:
        book.message
    script:
        "../scripts/page.py"
